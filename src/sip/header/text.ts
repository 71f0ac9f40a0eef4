/**
 * Header text inside the stack is "octet text": one character per octet of the wire's UTF-8. These two convert to and
 * from Unicode at the few places where people read it (display names, reason phrases).
 */
import { latin1Bytes, latin1Text, utf8Bytes, utf8Text } from '../../bytes/text.ts';

const ASCII = /^[\x00-\x7f]*$/;

/** Unicode to octet text. */
export function encodeText(text: string): string {
  return ASCII.test(text) ? text : latin1Text(utf8Bytes(text));
}

/** Octet text to Unicode; undefined where the octets are no UTF-8. */
export function decodeText(octets: string): string | undefined {
  return ASCII.test(octets) ? octets : utf8Text(latin1Bytes(octets));
}
