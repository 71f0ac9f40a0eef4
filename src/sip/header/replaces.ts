/** Replaces (RFC 3891): the dialog that a new call is to take the place of. */
import { parseTokenWithParameters } from './parameters.ts';

export interface SipReplaces {
  readonly callId: string;
  readonly toTag: string;
  readonly fromTag: string;
}

const CALL_ID = /^[\w.!%*+`'~()<>:\\"/[\]?{}-]{1,128}(?:@[\w.!%*+`'~()<>:\\"/[\]?{}-]{1,127})?$/;
const TOKEN = /^[\w.!%*+`'~-]{1,128}$/;

/** Undefined where malformed. `early-only` is not kept: a dialog that is confirmed by then is still the one that was meant. */
export function parseReplaces(text: string): SipReplaces | undefined {
  const semicolon = text.indexOf(';');
  const callId = text.slice(0, Math.max(semicolon, 0)).trim();
  // The Call-ID is no token, its parameters are those of one.
  const parsed = semicolon < 0 ? undefined : parseTokenWithParameters(`x${text.slice(semicolon)}`);
  const toTag = parsed?.parameters.get('to-tag') ?? '';
  const fromTag = parsed?.parameters.get('from-tag') ?? '';
  if (!CALL_ID.test(callId) || !TOKEN.test(toTag) || !TOKEN.test(fromTag)) return undefined;
  return { callId, toTag, fromTag };
}

export function formatReplaces({ callId, toTag, fromTag }: SipReplaces): string {
  return `${callId};to-tag=${toTag};from-tag=${fromTag}`;
}

/** The `?Replaces=...` of a Refer-To URI (RFC 3891 8): its only header, unescaped. Undefined where there is anything else. */
export function replacesOfUri(headers: string): SipReplaces | undefined {
  const found = /^Replaces=([^&]{1,768})$/i.exec(headers)?.[1];
  if (found === undefined || /%(?![0-9A-Fa-f]{2})/.test(found)) return undefined;
  return parseReplaces(
    found.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  );
}
