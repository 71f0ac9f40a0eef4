/** Privacy (RFC 3323 4.2) and the `privacy` parameter of Diversion (RFC 5806 7). */
import type { NameAddress, SipMessage } from '../message.ts';
import { headerValues } from './access.ts';

/** Values that ask for the sender's identity to be kept back: `id` (RFC 3325 9.3), `user` and `header` (RFC 3323 4.2). */
const HIDES_IDENTITY = new Set(['id', 'user', 'header']);

/** Whether the sender of a request, or of a response, does not want its identity shown outside the trust domain. */
export function hidesIdentity(message: Pick<SipMessage, 'headers'>): boolean {
  return headerValues(message, 'Privacy').some((value) =>
    value.split(/[;,]/).some((token) => HIDES_IDENTITY.has(token.trim().toLowerCase())),
  );
}

/** Whether the number of a Diversion entry is to be kept back. `name` asks for less: that the name is. */
export function hidesDiverting(entry: NameAddress): boolean {
  const asked = entry.parameters.get('privacy')?.toLowerCase();
  return asked === 'full' || asked === 'uri';
}
