/** The rules of RFC 3264 that need no state: directions, hold, where media goes. */
import { classifyIp, formatIp, parseIp } from '../bytes/ip.ts';
import type { Connection, MediaDescription, SdpDirection, SessionDescription } from './description.ts';

export function sends(direction: SdpDirection): boolean {
  return direction === 'sendrecv' || direction === 'sendonly';
}

export function receives(direction: SdpDirection): boolean {
  return direction === 'sendrecv' || direction === 'recvonly';
}

export function directionOf(send: boolean, receive: boolean): SdpDirection {
  if (send) return receive ? 'sendrecv' : 'sendonly';
  return receive ? 'recvonly' : 'inactive';
}

/** The same stream seen from the other end. */
export function reverse(direction: SdpDirection): SdpDirection {
  return directionOf(receives(direction), sends(direction));
}

/** What both allow; both seen from the same end. */
export function intersect(a: SdpDirection, b: SdpDirection): SdpDirection {
  return directionOf(sends(a) && sends(b), receives(a) && receives(b));
}

/** RFC 3264 6.1: the direction to answer an offered one with, where `wished` is what the answerer would like. */
export function answerDirection(offered: SdpDirection, wished: SdpDirection): SdpDirection {
  return intersect(reverse(offered), wished);
}

/** RFC 8866 5.7: the c= of the stream, else that of the session. */
export function connectionOf(session: SessionDescription, media: MediaDescription): Connection | undefined {
  return media.connection ?? session.connection;
}

/** The canonical address of a c= line; undefined where it is a host name or of another family than it says. */
export function ipOf(connection: Connection): string | undefined {
  const bytes = parseIp(connection.address);
  if (bytes === undefined || (bytes.length === 4) !== (connection.ipVersion === 4)) return undefined;
  return formatIp(bytes);
}

/** RFC 3264 8.4 (and RFC 6157 for IPv6): the unspecified address means "send me nothing". */
export function isUnspecified(connection: Connection): boolean {
  const bytes = parseIp(connection.address);
  return bytes !== undefined && classifyIp(bytes) === 'unspecified';
}

/**
 * The direction a description states for a stream, seen from its sender: its own attribute, the session's, else sendrecv
 * (RFC 8866 6.7); the old form of hold, c=0.0.0.0, takes away receiving (RFC 3264 8.4).
 */
export function statedDirection(session: SessionDescription, media: MediaDescription): SdpDirection {
  const stated = media.direction ?? session.direction ?? 'sendrecv';
  const connection = connectionOf(session, media);
  return connection !== undefined && isUnspecified(connection) ? intersect(stated, 'sendonly') : stated;
}
