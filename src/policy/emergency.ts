/** Emergency calls: which they are is decided by this gateway's own numbers, never by what the far side says alone. */
import type { Party, Priority } from '../meta/message.ts';
import { asDialled } from './number-pattern.ts';

export class EmergencyNumbers {
  readonly #numbers: ReadonlySet<string>;

  /** `numbers` as dialled, e.g. 112; not in international form. */
  constructor(numbers: readonly string[]) {
    this.#numbers = new Set(numbers);
  }

  includes(callee: Pick<Party, 'number' | 'numberType'>): boolean {
    const { number, numberType } = asDialled(callee);
    return numberType !== 'international' && numberType !== 'uri' && this.#numbers.has(number);
  }
}

export interface CallClass {
  readonly priority: Priority;
  /** May take the place of another call: only an emergency by our own numbers. */
  readonly preempts: boolean;
}

/**
 * The class of a call. `asserted`: what the message says; `believed`: it comes from our own side of trust (at GW2: from the
 * relay gateway; at GW1: never from the termination gateway, which may be in an attacker's hands).
 */
export function classify(own: boolean, asserted: Priority, believed: boolean): CallClass {
  if (own) return { priority: 'emergency', preempts: true };
  if (!believed) return { priority: 'normal', preempts: false };
  return { priority: asserted, preempts: false };
}
