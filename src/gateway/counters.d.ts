import { type CounterName } from './contract.ts';
/** Counters by family and reason, and a bounded table of foreign names. */
export declare class Counters {
  #private;
  /** The label as counted: `other` once a family is full. */
  add(name: CounterName, label: string): string;
  addForeign(name: string): void;
  view(): Record<string, Record<string, number>>;
  foreign(): Record<string, number>;
}
