import { sessionDescription } from '../body.ts';
import type { SipBody } from '../contract.ts';
import type { SipMessage } from '../message.ts';

/** The session description of a response or ACK: where it is unusable there is nobody to refuse it to, and it counts as none. */
export function bodyField(message: SipMessage): { readonly body?: SipBody } {
  const found = sessionDescription(message);
  return found.ok && found.value !== undefined ? { body: found.value } : {};
}
