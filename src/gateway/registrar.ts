/**
 * Bindings of remote users (RFC 3261 10.3) at the termination gateway. Secrets are not here: the relay gateway has
 * checked the digest before a binding is made. In memory; a restart forgets them and the users register again.
 */
import type { Millis } from '../machine/machine.ts';
import { Timers } from '../machine/timers.ts';
import type { SipFlow } from '../sip/contract.ts';
import type { SipUri } from '../sip/message.ts';

export interface Binding {
  readonly uri: SipUri;
  readonly flow: SipFlow;
  /** Address the registration came from: the only host besides the signalled one whose media a latching stream may learn. */
  readonly source: string;
  readonly peer: string;
  readonly callId: string;
  readonly cseq: number;
  readonly expiresAt: Millis;
}

const MAX_ACCOUNTS = 5000;
const MAX_CONTACTS = 4;
export const MIN_EXPIRES_SECONDS = 60;
export const MAX_EXPIRES_SECONDS = 3600;

export class Registrar {
  #accounts = new Map<string, Binding[]>();
  #timers = new Timers<string>();

  get size(): number {
    return this.#accounts.size;
  }

  deadline(): Millis | undefined {
    return this.#timers.next();
  }

  /** Adds or refreshes a binding. `stale`: an older CSeq of the same Call-ID (RFC 3261 10.3 step 7). */
  bind(number: string, binding: Binding, key: string): 'bound' | 'full' | 'stale' {
    const bindings = this.#accounts.get(number) ?? [];
    const same = bindings.findIndex((b) => bindingKey(b.uri) === key);
    if (same >= 0) {
      const old = bindings[same]!;
      if (old.callId === binding.callId && binding.cseq <= old.cseq) return 'stale';
      bindings[same] = binding;
    } else {
      if (bindings.length >= MAX_CONTACTS) bindings.shift(); // the oldest device gives way
      if (bindings.length === 0 && this.#accounts.size >= MAX_ACCOUNTS) return 'full';
      bindings.push(binding);
    }
    this.#accounts.set(number, bindings);
    this.#schedule(number);
    return 'bound';
  }

  unbind(number: string, key: string | '*'): void {
    const left =
      key === '*' ? [] : (this.#accounts.get(number) ?? []).filter((b) => bindingKey(b.uri) !== key);
    this.#replace(number, left);
  }

  /** Live bindings, newest last. */
  lookup(number: string, now: Millis): readonly Binding[] {
    return (this.#accounts.get(number) ?? []).filter((b) => b.expiresAt > now);
  }

  expire(now: Millis): void {
    for (let number = this.#timers.take(now); number !== undefined; number = this.#timers.take(now)) {
      this.#replace(
        number,
        (this.#accounts.get(number) ?? []).filter((b) => b.expiresAt > now),
      );
    }
  }

  /** A stream connection is gone: what was registered over it cannot be reached any more. */
  connectionClosed(connection: number): void {
    for (const [number, bindings] of this.#accounts) {
      const left = bindings.filter((b) => b.flow.kind !== 'stream' || b.flow.connection !== connection);
      if (left.length !== bindings.length) this.#replace(number, left);
    }
  }

  #replace(number: string, bindings: Binding[]): void {
    if (bindings.length === 0) this.#accounts.delete(number);
    else this.#accounts.set(number, bindings);
    this.#schedule(number);
  }

  #schedule(number: string): void {
    const bindings = this.#accounts.get(number);
    this.#timers.set(
      number,
      bindings === undefined ? undefined : Math.min(...bindings.map((b) => b.expiresAt)),
    );
  }
}

export function bindingKey(uri: SipUri): string {
  return `${uri.user}@${uri.host}:${uri.port ?? ''};${uri.parameters.get('transport') ?? ''}`;
}
