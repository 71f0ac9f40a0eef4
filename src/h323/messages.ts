/**
 * Whole messages of H.323: octets ↔ typed values. Call signalling is a Q.931 message with an H323-UserInformation inside, H.245 a
 * MultimediaSystemControlMessage (on its own connection, or as octets in `h245Control`), RAS a RasMessage. Fast start elements are
 * OpenLogicalChannel. Decoding never throws; encoding throws where a value is none of its type (a bug of the caller).
 */
import type { Result } from '../machine/machine.ts';
import { fail, ok } from '../machine/machine.ts';
import { H225 } from './asn1/h225.ts';
import type { H323UserInformation, RasMessage } from './asn1/h225-types.ts';
import { H245 } from './asn1/h245.ts';
import type { MultimediaSystemControlMessage, OpenLogicalChannel } from './asn1/h245-types.ts';
import { H4501 } from './asn1/h4501.ts';
import type { SupplementaryService } from './asn1/h4501-types.ts';
import type { PerError } from './per/bit-reader.ts';
import type { PerType } from './per/compile.ts';
import { DECODE_LIMITS, DecodeReport, decodePer } from './per/decode.ts';
import { encodePer } from './per/encode.ts';
import type { Q931Decoded, Q931Error, Q931Message } from './q931.ts';
import { decodeQ931 } from './q931-decode.ts';
import { encodeQ931 } from './q931-encode.ts';

export const USER_INFORMATION: PerType<H323UserInformation> = H225.type('H323-UserInformation');
export const RAS_MESSAGE: PerType<RasMessage> = H225.type('RasMessage');
export const CONTROL_MESSAGE: PerType<MultimediaSystemControlMessage> = H245.type(
  'MultimediaSystemControlMessage',
);
export const OPEN_LOGICAL_CHANNEL: PerType<OpenLogicalChannel> = H245.type('OpenLogicalChannel');
export const SUPPLEMENTARY_SERVICE: PerType<SupplementaryService> = H4501.type('SupplementaryService');

/** Where a message was wrong: in the frame of Q.931 (`offset` in octets), or in the PER part (`bit`, `path`). */
export type MessageError = ({ readonly layer: 'q931' } & Q931Error) | ({ readonly layer: 'per' } & PerError);

/** Short text for logs and refusal records. Contains no value of the message. */
export function messageErrorText(error: MessageError): string {
  if (error.layer === 'q931') return `q931 ${error.reason} at octet ${error.offset}`;
  return `${error.reason} at bit ${error.bit} of ${error.path}`;
}

export interface Signalling {
  readonly q931: Q931Decoded;
  /** Absent where the message has no User-user element (Q.931 Status of some peers). */
  readonly uuie: H323UserInformation | undefined;
  /** Extensions of later editions that were passed over, and Q.931 elements ignored. */
  readonly unknown: number;
}

export interface Decoded<T> {
  readonly message: T;
  /** Extensions of later editions that were passed over. */
  readonly unknown: number;
}

function decode<T>(type: PerType<T>, bytes: Uint8Array): Result<Decoded<T>, MessageError> {
  const report = new DecodeReport();
  const result = decodePer(type, bytes, DECODE_LIMITS, report);
  if (!result.ok) return fail({ layer: 'per', ...result.error });
  return ok({ message: result.value, unknown: report.unknown });
}

/** One call signalling message: the payload of a TPKT on the call signalling connection. */
export function decodeSignalling(bytes: Uint8Array): Result<Signalling, MessageError> {
  const frame = decodeQ931(bytes);
  if (!frame.ok) return fail({ layer: 'q931', ...frame.error });
  const q931 = frame.value;
  const ignored = q931.ignored.length;
  if (q931.userUser === undefined) return ok({ q931, uuie: undefined, unknown: ignored });
  const uuie = decode(USER_INFORMATION, q931.userUser);
  if (!uuie.ok) return uuie;
  return ok({ q931, uuie: uuie.value.message, unknown: ignored + uuie.value.unknown });
}

/** `q931.userUser` is not looked at: `uuie` takes its place. */
export function encodeSignalling(q931: Q931Message, uuie: H323UserInformation | undefined): Uint8Array {
  return encodeQ931({ ...q931, userUser: uuie && encodePer(USER_INFORMATION, uuie) });
}

/** One H.245 message: the payload of a TPKT, or one element of `h245Control`. */
export function decodeH245(bytes: Uint8Array): Result<Decoded<MultimediaSystemControlMessage>, MessageError> {
  return decode(CONTROL_MESSAGE, bytes);
}

export function encodeH245(message: MultimediaSystemControlMessage): Uint8Array {
  return encodePer(CONTROL_MESSAGE, message);
}

/** The tunnelled H.245 messages of a call signalling PDU in order; each is judged on its own. */
export function tunnelledH245(
  uuie: H323UserInformation,
): Result<Decoded<MultimediaSystemControlMessage>, MessageError>[] {
  return (uuie.h323UuPdu.h245Control ?? []).map(decodeH245);
}

/** One RAS message: a UDP datagram. */
export function decodeRas(bytes: Uint8Array): Result<Decoded<RasMessage>, MessageError> {
  return decode(RAS_MESSAGE, bytes);
}

export function encodeRas(message: RasMessage): Uint8Array {
  return encodePer(RAS_MESSAGE, message);
}

/** One element of `fastStart`. */
export function decodeFastStart(bytes: Uint8Array): Result<Decoded<OpenLogicalChannel>, MessageError> {
  return decode(OPEN_LOGICAL_CHANNEL, bytes);
}

export function encodeFastStart(channel: OpenLogicalChannel): Uint8Array {
  return encodePer(OPEN_LOGICAL_CHANNEL, channel);
}

/** One element of `h4501SupplementaryService` (H.450.1). */
export function decodeSupplementary(bytes: Uint8Array): Result<Decoded<SupplementaryService>, MessageError> {
  return decode(SUPPLEMENTARY_SERVICE, bytes);
}

export function encodeSupplementary(service: SupplementaryService): Uint8Array {
  return encodePer(SUPPLEMENTARY_SERVICE, service);
}
