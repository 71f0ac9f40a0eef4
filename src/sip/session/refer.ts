/** REFER inside a call (RFC 3515) and the NOTIFYs that report on it. */
import { latin1Bytes } from '../../bytes/text.ts';
import { buildResponse, contactFor, dialogHeaders } from '../build.ts';
import type { SipCommand } from '../contract.ts';
import { headerValues } from '../header/access.ts';
import { parseNameAddress } from '../header/name-address.ts';
import { reasonPhrase } from '../reason-phrases.ts';
import type { Stack } from '../stack.ts';
import type { ServerTransaction } from '../transaction/server.ts';
import { sendInDialog } from './in-dialog-request.ts';
import { refuse } from './refuse.ts';
import type { Session } from './session.ts';

/** How long a reference may take; told in Subscription-State. Seconds. */
const EXPIRES = 180;

export function receiveRefer(stack: Stack, session: Session, transaction: ServerTransaction): void {
  const { request, source } = transaction;
  const { dialog } = session;
  if (session.state !== 'confirmed' || dialog === undefined) return refuse(transaction, 481);
  const values = headerValues(request, 'Refer-To');
  const target = values.length === 1 ? parseNameAddress(values[0]!)?.uri : undefined; // 2.4.2: exactly one
  if (target === undefined) return refuse(transaction, 400);
  if (session.refer !== undefined) return refuse(transaction, 500, [['Retry-After', '10']]);
  transaction.respond(
    202,
    buildResponse(request, 202, source.hop, {
      headers: dialogHeaders(transaction.request, transaction.source.hop, dialog),
    }),
  );
  session.refer = request.cseq.number;
  notify(stack, session, 100, false); // 2.4.4: at once
  stack.core.event({
    kind: 'refer',
    session: session.ref,
    target: { ...target, headers: '' },
    ...replacesField(target.headers),
  });
}

/** `?Replaces=...` of a Refer-To URI (RFC 3891), unescaped. */
function replacesField(headers: string): { readonly replaces?: string } {
  const found = /(?:^|&)Replaces=([^&]{1,768})(?:&|$)/i.exec(headers)?.[1];
  if (found === undefined) return {};
  const text = found.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return /^[\x20-\x7e]+$/.test(text) ? { replaces: text } : {};
}

export function notifyRefer(
  stack: Stack,
  session: Session,
  command: Extract<SipCommand, { kind: 'notify-refer' }>,
): void {
  if (session.refer === undefined || command.status < 100 || command.status > 699) return;
  notify(stack, session, command.status, command.final);
  if (command.final) session.refer = undefined;
}

function notify(stack: Stack, session: Session, status: number, final: boolean): void {
  const { dialog } = session;
  if (dialog === undefined) return;
  const state = final ? 'terminated;reason=noresource' : `active;expires=${EXPIRES}`;
  sendInDialog(stack, session, dialog, {
    method: 'NOTIFY',
    headers: (attempt) => [
      ['Contact', contactFor(attempt.hop.listener)],
      ['Event', `refer;id=${session.refer ?? 0}`],
      ['Subscription-State', state],
    ],
    // RFC 3420; the phrase is ours, not the far end's.
    body: {
      contentType: 'message/sipfrag;version=2.0',
      bytes: latin1Bytes(`SIP/2.0 ${status} ${reasonPhrase(status)}\r\n`),
    },
  });
}
