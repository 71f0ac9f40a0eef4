/** Octets → Q.931 message. Bounded, never throws. */
import { latin1Text, utf8Text } from '../bytes/text.ts';
import type { Result } from '../machine/machine.ts';
import { fail, ok } from '../machine/machine.ts';
import type {
  Q931Bearer,
  Q931Cause,
  Q931Decoded,
  Q931Elements,
  Q931Error,
  Q931Number,
  Q931NumberPlan,
  Q931Progress,
  Q931Type,
} from './q931.ts';
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

const MAX_ELEMENTS = 64;
const MAX_PROGRESS = 4;
const MAX_DIGITS = 128;
const MAX_TEXT = 256;

const TYPE_BY_CODE = new Map<number, Q931Type>(
  Object.entries(Q931_TYPES).map(([name, code]) => [code, name as Q931Type]),
);
const PLAN_BY_CODE = new Map<number, Q931NumberPlan>(
  Object.entries(NUMBER_PLANS).map(([name, code]) => [code, name as Q931NumberPlan]),
);
const CAPABILITY_BY_CODE = new Map<number, Q931Bearer['capability']>(
  Object.entries(BEARER_CAPABILITIES).map(([name, code]) => [code, name as Q931Bearer['capability']]),
);

type Mutable = { -readonly [K in keyof Q931Elements]: Q931Elements[K] };

/** Decodes exactly one message that fills `bytes` (the payload of a TPKT). Views, not copies, of its octets are handed out. */
export function decodeQ931(bytes: Uint8Array): Result<Q931Decoded, Q931Error> {
  if (bytes.length < 5) return fail({ reason: 'truncated', offset: bytes.length });
  if (bytes[0] !== Q931_DISCRIMINATOR) return fail({ reason: 'discriminator', offset: 0 });
  if (bytes[1] !== 2) return fail({ reason: 'call-reference', offset: 1 }); // H.225.0 7.2.2.2: two octets
  const type = TYPE_BY_CODE.get(bytes[4]!);
  if (type === undefined) return fail({ reason: 'type', offset: 4 });
  const elements: Mutable = {};
  const ignored: number[] = [];
  const error = walk(bytes, elements, ignored);
  if (error !== undefined) return fail(error);
  const callReference = ((bytes[2]! & 0x7f) << 8) | bytes[3]!;
  return ok({ type, callReference, fromDestination: bytes[2]! >= 0x80, ...elements, ignored });
}

/** Q.931 4.5.1: elements of one octet have bit 8 set; 4.5.2: shifts to other codesets, whose elements are passed over. */
function walk(bytes: Uint8Array, elements: Mutable, ignored: number[]): Q931Error | undefined {
  let locked = 0;
  let once: number | undefined;
  let count = 0;
  for (let at = 5; at < bytes.length; ) {
    const start = at;
    if (++count > MAX_ELEMENTS) return { reason: 'elements', offset: at };
    const id = bytes[at++]!;
    if ((id & 0xf0) === 0x90) {
      if ((id & 0x08) === 0) locked = id & 0x07;
      else once = id & 0x07;
      continue;
    }
    const codeset = once ?? locked;
    once = undefined;
    let contents: Uint8Array | undefined;
    if (id < 0x80) {
      const wide = id === ELEMENT.userUser && codeset === 0 ? 2 : 1; // H.225.0 7.2.2.31: User-user has a length of two octets
      if (at + wide > bytes.length) return { reason: 'truncated', offset: start };
      const length = wide === 2 ? (bytes[at]! << 8) | bytes[at + 1]! : bytes[at]!;
      at += wide;
      if (at + length > bytes.length) return { reason: 'truncated', offset: start };
      contents = bytes.subarray(at, at + length);
      at += length;
    }
    if (codeset !== 0) ignored.push(id);
    else if (contents === undefined) {
      if (id === ELEMENT.sendingComplete) elements.sendingComplete = true;
      else ignored.push(id);
    } else if (id === ELEMENT.userUser && elements.userUser === undefined) {
      // protocol discriminator 05 and at least one octet of PER
      if (contents.length < 2 || contents[0] !== 5) return { reason: 'user-user', offset: start };
      elements.userUser = contents.subarray(1);
    } else if (!take(elements, id, contents)) {
      ignored.push(id);
    }
  }
  return undefined;
}

/** Q.931 5.8.7.2: an optional element with contents that are none counts as absent. */
function take(elements: Mutable, id: number, contents: Uint8Array): boolean {
  switch (id) {
    case ELEMENT.bearer:
      return set(elements, 'bearer', bearer(contents));
    case ELEMENT.cause:
      return set(elements, 'cause', cause(contents));
    case ELEMENT.callState:
      return set(elements, 'callState', contents.length >= 1 ? contents[0]! & 0x3f : undefined);
    case ELEMENT.facility:
      return set(elements, 'facility', contents);
    case ELEMENT.progress:
      return addProgress(elements, contents);
    case ELEMENT.notification:
      return set(elements, 'notification', contents.length >= 1 ? contents[0]! & 0x7f : undefined);
    case ELEMENT.display:
      return set(elements, 'display', displayText(contents));
    case ELEMENT.keypad:
      return set(elements, 'keypad', printable(contents));
    case ELEMENT.signal:
      return set(elements, 'signal', contents.length === 1 ? contents[0]! : undefined);
    case ELEMENT.calling:
      return set(elements, 'calling', partyNumber(contents));
    case ELEMENT.called:
      return set(elements, 'called', partyNumber(contents));
    case ELEMENT.connected:
      return set(elements, 'connected', partyNumber(contents));
    case ELEMENT.redirecting:
      return set(elements, 'redirecting', partyNumber(contents));
    default:
      return false;
  }
}

function set<K extends keyof Mutable>(elements: Mutable, key: K, value: Mutable[K]): boolean {
  if (value === undefined || elements[key] !== undefined) return false;
  elements[key] = value;
  return true;
}

/** Index behind an octet group that starts at `at`: its last octet has bit 8 set. -1 where the contents end before. */
function groupEnd(contents: Uint8Array, at: number): number {
  for (let i = at; i < contents.length; i++) if (contents[i]! >= 0x80) return i + 1;
  return -1;
}

function bearer(contents: Uint8Array): Q931Bearer | undefined {
  const rateAt = groupEnd(contents, 0);
  if (rateAt !== 1 || contents.length < 2) return undefined;
  const capability = CAPABILITY_BY_CODE.get(contents[0]! & 0x1f);
  const rate = contents[1]! & 0x1f;
  if (capability === undefined || (contents[0]! & 0x60) !== 0) return undefined; // only ITU-T coding
  let at = 2;
  let multiplier: number | undefined;
  if (rate === 0x18) {
    if (contents.length < 3) return undefined;
    multiplier = contents[2]! & 0x7f;
    if (multiplier === 0) return undefined; // Q.931 4.5.5: 1..127
    at = 3;
  }
  const layer1At = contents[at];
  const layer1 = layer1At !== undefined && (layer1At & 0x60) === 0x20 ? layer1At & 0x1f : undefined;
  return {
    capability,
    rate,
    ...(multiplier === undefined ? {} : { multiplier }),
    ...(layer1 === undefined ? {} : { layer1 }),
  };
}

function cause(contents: Uint8Array): Q931Cause | undefined {
  const valueAt = groupEnd(contents, 0); // octet 3a (recommendation) may stand between
  if (valueAt < 0 || valueAt > 2 || valueAt >= contents.length) return undefined;
  const value = contents[valueAt]! & 0x7f;
  const location = contents[0]! & 0x0f;
  if (value === 0) return undefined;
  const diagnostics = contents.subarray(valueAt + 1);
  return { value, location, ...(diagnostics.length === 0 ? {} : { diagnostics }) };
}

function addProgress(elements: Mutable, contents: Uint8Array): boolean {
  const list: readonly Q931Progress[] = elements.progress ?? [];
  if (contents.length !== 2 || list.length >= MAX_PROGRESS) return false;
  if ((contents[1]! & 0x7f) === 0) return false; // Q.931 table 4-20 has no description 0
  elements.progress = [...list, { location: contents[0]! & 0x0f, description: contents[1]! & 0x7f }];
  return true;
}

function partyNumber(contents: Uint8Array): Q931Number | undefined {
  const digitsAt = groupEnd(contents, 0);
  if (digitsAt < 1 || contents.length - digitsAt > MAX_DIGITS) return undefined;
  const plan = PLAN_BY_CODE.get(contents[0]! & 0x0f);
  const digits = digitsAt === contents.length ? '' : printable(contents.subarray(digitsAt));
  if (plan === undefined || digits === undefined) return undefined;
  const type = NUMBER_TYPES[(contents[0]! >> 4) & 0x07]!;
  if (digitsAt === 1) return { type, plan, digits };
  const presentation = PRESENTATIONS[(contents[1]! >> 5) & 0x03]!;
  return { type, plan, digits, presentation, screening: SCREENINGS[contents[1]! & 0x03]! };
}

/** IA5 without control characters; undefined for anything else. */
function printable(contents: Uint8Array): string | undefined {
  if (contents.length === 0 || contents.length > MAX_TEXT) return undefined;
  return contents.every((c) => c >= 0x20 && c < 0x7f) ? latin1Text(contents) : undefined;
}

/** Said to be IA5, but UTF-8 and a trailing NUL are met: what remains without control characters. */
function displayText(contents: Uint8Array): string | undefined {
  if (contents.length > MAX_TEXT) return undefined;
  const text = (utf8Text(contents) ?? latin1Text(contents)).replace(/\p{Cc}/gu, '').trim();
  return text === '' ? undefined : text;
}
