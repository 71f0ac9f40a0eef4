import { type Background } from '../run.ts';
import { type Place } from '../topology.ts';
export interface SippOptions {
  readonly folder: string;
  readonly place: Place;
  /** A built-in scenario (`uac`, `uas`) or a file of scenarios/ without its `.xml`. */
  readonly scenario: string;
  readonly ip: string;
  readonly port: number;
  /** Callers: whom to call, host:port, and which number. */
  readonly to?: string;
  readonly number?: string;
  readonly calls?: number;
  readonly transport?: 'udp' | 'tcp';
  /** What stands for @NAME@ in the scenario's text. */
  readonly values?: Readonly<Record<string, string>>;
  readonly callId?: string;
  readonly patienceSeconds?: number;
  readonly more?: readonly string[];
}
export interface SippResult {
  readonly ok: boolean;
  readonly why: string;
  readonly messages: string;
}
export declare class Sipp {
  #private;
  readonly process: Background;
  constructor(options: SippOptions);
  /** To the end of the scenario: `ok` where each call went as it says. */
  result(): Promise<SippResult>;
  messages(): string;
  /** Until it has got or sent something that matches. */
  seen(pattern: RegExp, ms?: number): Promise<void>;
}
/** host:port with the brackets of an IPv6 address. */
export declare function hostPort(ip: string, port: number): string;
