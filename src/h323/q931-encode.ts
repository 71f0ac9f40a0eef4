/** Q.931 message → octets, elements in ascending order of their identifiers (Q.931 4.5.1). */
import { latin1Bytes } from '../bytes/text.ts';
import { Writer } from '../bytes/writer.ts';
import type { Q931Bearer, Q931Cause, Q931Message, Q931Number } from './q931.ts';
import {
  BEARER_CAPABILITIES,
  ELEMENT,
  NUMBER_PLANS,
  NUMBER_TYPES,
  PRESENTATIONS,
  Q931_DISCRIMINATOR,
  Q931_TYPES,
  SCREENINGS,
} from './q931.ts';

const MAX_DISPLAY = 82;
const MAX_TEXT = 128;

/** Throws RangeError where a field is outside its range: a bug of the caller. Display and keypad are cut, not refused. */
export function encodeQ931(message: Q931Message): Uint8Array {
  const out = new Writer(256);
  out.u8(Q931_DISCRIMINATOR);
  out.u8(2);
  inRange('call reference', message.callReference, 0, 0x7fff);
  out.u16((message.fromDestination ? 0x8000 : 0) | message.callReference);
  out.u8(Q931_TYPES[message.type]);
  const { bearer, cause, callState, facility, notification, display, keypad, signal } = message;
  if (bearer !== undefined) element(out, ELEMENT.bearer, bearerContents(bearer));
  if (cause !== undefined) element(out, ELEMENT.cause, causeContents(cause));
  if (callState !== undefined) element(out, ELEMENT.callState, [inRange('call state', callState, 0, 0x3f)]);
  if (facility !== undefined) element(out, ELEMENT.facility, facility);
  for (const p of message.progress ?? []) {
    element(out, ELEMENT.progress, [
      0x80 | inRange('location', p.location, 0, 15),
      0x80 | inRange('progress', p.description, 1, 127),
    ]);
  }
  if (notification !== undefined) {
    element(out, ELEMENT.notification, [0x80 | inRange('notification', notification, 0, 127)]);
  }
  if (display !== undefined) textElement(out, ELEMENT.display, display, MAX_DISPLAY);
  if (keypad !== undefined) textElement(out, ELEMENT.keypad, keypad, MAX_TEXT);
  if (signal !== undefined) element(out, ELEMENT.signal, [inRange('signal', signal, 0, 255)]);
  if (message.connected !== undefined) element(out, ELEMENT.connected, numberContents(message.connected));
  if (message.calling !== undefined) element(out, ELEMENT.calling, numberContents(message.calling));
  if (message.called !== undefined) element(out, ELEMENT.called, numberContents(message.called));
  if (message.redirecting !== undefined)
    element(out, ELEMENT.redirecting, numberContents(message.redirecting));
  if (message.userUser !== undefined) userUser(out, message.userUser);
  if (message.sendingComplete === true) out.u8(ELEMENT.sendingComplete); // one-octet elements may stand anywhere
  return out.bytes();
}

function inRange(name: string, value: number, lb: number, ub: number): number {
  if (!Number.isInteger(value) || value < lb || value > ub) {
    throw new RangeError(`${name} ${value} is outside ${lb}..${ub}`);
  }
  return value;
}

function element(out: Writer, id: number, contents: ArrayLike<number>): void {
  out.u8(id);
  out.u8(inRange('length', contents.length, 0, 255));
  out.raw(contents instanceof Uint8Array ? contents : Uint8Array.from(contents));
}

/** H.225.0 7.2.2.31: a length of two octets, which counts the protocol discriminator 05. */
function userUser(out: Writer, per: Uint8Array): void {
  out.u8(ELEMENT.userUser);
  out.u16(inRange('user-user', per.length + 1, 2, 0xffff));
  out.u8(5);
  out.raw(per);
}

function bearerContents(bearer: Q931Bearer): number[] {
  const out = [0x80 | BEARER_CAPABILITIES[bearer.capability], 0x80 | inRange('rate', bearer.rate, 0, 0x1f)];
  if (bearer.rate === 0x18) out.push(0x80 | inRange('multiplier', bearer.multiplier ?? 1, 1, 0x7f));
  if (bearer.layer1 !== undefined) out.push(0xa0 | inRange('layer 1', bearer.layer1, 0, 0x1f));
  return out;
}

function causeContents(cause: Q931Cause): number[] {
  const location = inRange('location', cause.location, 0, 15);
  return [0x80 | location, 0x80 | inRange('cause', cause.value, 1, 127), ...(cause.diagnostics ?? [])];
}

function numberContents(number: Q931Number): number[] {
  const first = (NUMBER_TYPES.indexOf(number.type) << 4) | NUMBER_PLANS[number.plan];
  const digits = latin1Bytes(number.digits);
  inRange('digits', digits.length, 0, MAX_TEXT);
  if (number.presentation === undefined && number.screening === undefined) return [0x80 | first, ...digits];
  const presentation = PRESENTATIONS.indexOf(number.presentation ?? 'allowed');
  const screening = SCREENINGS.indexOf(number.screening ?? 'not-screened');
  return [first, 0x80 | (presentation << 5) | screening, ...digits];
}

/** IA5: what is not becomes `?`; empty texts are not sent. */
function textElement(out: Writer, id: number, text: string, most: number): void {
  const ia5 = text.replace(/[^ -~]/gu, '?').slice(0, most);
  if (ia5 !== '') element(out, id, latin1Bytes(ia5));
}
