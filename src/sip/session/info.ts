/** DTMF in INFO: application/dtmf-relay (`Signal=5`, `Duration=160`) and application/dtmf (`5`). */
import { latin1Bytes, latin1Text } from '../../bytes/text.ts';
import { READABLE } from '../build.ts';
import type { SipCommand } from '../contract.ts';
import { firstHeader } from '../header/access.ts';
import { parseContentType } from '../header/content-type.ts';
import type { SipRequest } from '../message.ts';
import type { Stack } from '../stack.ts';
import type { ServerTransaction } from '../transaction/server.ts';
import { sendInDialog } from './in-dialog-request.ts';
import { refuse } from './refuse.ts';
import type { Session } from './session.ts';

/** Milliseconds. */
const DURATION = { default: 160, least: 40, most: 5000 } as const;

export function sendDtmf(
  stack: Stack,
  session: Session,
  command: Extract<SipCommand, { kind: 'info-dtmf' }>,
): void {
  const digit = command.digit.toUpperCase();
  if (session.state !== 'confirmed' || session.dialog === undefined || !/^[0-9*#A-D]$/.test(digit)) return;
  const text = `Signal=${digit}\r\nDuration=${duration(command.durationMs)}\r\n`;
  sendInDialog(stack, session, session.dialog, {
    method: 'INFO',
    headers: () => [],
    body: { contentType: 'application/dtmf-relay', bytes: latin1Bytes(text) },
  });
}

export function receiveInfo(stack: Stack, session: Session, transaction: ServerTransaction): void {
  const { request } = transaction;
  if (request.body.length === 0) return refuse(transaction, 200);
  const type = parseContentType(firstHeader(request, 'Content-Type') ?? '')?.type;
  if (type !== 'application/dtmf-relay' && type !== 'application/dtmf') {
    stack.core.count('info-type', type);
    return refuse(transaction, 415, READABLE);
  }
  const found = type === 'application/dtmf' ? parseDtmf(request) : parseDtmfRelay(request);
  if (found === undefined) return refuse(transaction, 400);
  refuse(transaction, 200);
  if (session.state === 'ended') return;
  stack.core.event({ kind: 'info-dtmf', session: session.ref, ...found });
}

interface Dtmf {
  readonly digit: string;
  readonly durationMs: number;
}

function parseDtmfRelay(request: SipRequest): Dtmf | undefined {
  if (request.body.length > 256) return undefined;
  const text = latin1Text(request.body);
  const signal = /^[ \t]*signal[ \t]*=[ \t]*([0-9*#A-D]|1[0-5])[ \t]*\r?$/im.exec(text)?.[1];
  const stated = /^[ \t]*duration[ \t]*=[ \t]*(\d{1,6})[ \t]*\r?$/im.exec(text)?.[1];
  const digit = signal === undefined ? undefined : digitOf(signal);
  if (digit === undefined) return undefined;
  return { digit, durationMs: duration(stated === undefined ? DURATION.default : Number(stated)) };
}

function parseDtmf(request: SipRequest): Dtmf | undefined {
  if (request.body.length > 16) return undefined;
  const digit = digitOf(latin1Text(request.body).trim());
  return digit === undefined ? undefined : { digit, durationMs: DURATION.default };
}

/** The signs themselves, or RFC 4733's event numbers 10 .. 15 for `*`, `#`, A .. D. */
function digitOf(text: string): string | undefined {
  if (/^[0-9*#A-D]$/i.test(text)) return text.toUpperCase();
  return /^1[0-5]$/.test(text) ? '*#ABCD'[Number(text) - 10] : undefined;
}

function duration(ms: number): number {
  return Math.round(Math.min(Math.max(ms, DURATION.least), DURATION.most));
}
