/**
 * Bindings of remote users (RFC 3261 10.3) at the termination gateway. Secrets are not here: the relay gateway has
 * checked the digest before a binding is made. In memory; a restart forgets them and the users register again.
 */
import type { Millis } from '../machine/machine.ts';
import type { SipFlow } from '../sip/contract.ts';
import type { SipUri } from '../sip/message.ts';
export interface Binding {
  readonly uri: SipUri;
  readonly flow: SipFlow;
  readonly peer: string;
  readonly callId: string;
  readonly cseq: number;
  readonly expiresAt: Millis;
}
export declare const MIN_EXPIRES_SECONDS = 60;
export declare const MAX_EXPIRES_SECONDS = 3600;
export declare class Registrar {
  #private;
  get size(): number;
  deadline(): Millis | undefined;
  /** Adds or refreshes a binding. `stale`: an older CSeq of the same Call-ID (RFC 3261 10.3 step 7). */
  bind(number: string, binding: Binding, key: string): 'bound' | 'full' | 'stale';
  unbind(number: string, key: string | '*'): void;
  /** Live bindings, newest last. */
  lookup(number: string, now: Millis): readonly Binding[];
  expire(now: Millis): void;
  /** A stream connection is gone: what was registered over it cannot be reached any more. */
  connectionClosed(connection: number): void;
}
export declare function bindingKey(uri: SipUri): string;
