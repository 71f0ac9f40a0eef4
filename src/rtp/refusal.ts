/**
 * Why a packet was refused, as an integer: the index in `REFUSALS` of media/plane-contract.ts (plane/engine.test.ts holds
 * the two lists together; this folder may not import that one). The packet path returns integers, never objects.
 */
export const REFUSED = {
  version: 0,
  tooShort: 1,
  tooLong: 2,
  payloadType: 3,
  payloadSize: 4,
  rate: 5,
  source: 6,
  sequence: 7,
  timestamp: 8,
  direction: 9,
  ssrc: 10,
  extension: 11,
  padding: 12,
  rtcpMalformed: 13,
  rtcpSource: 14,
  frameUnknownStream: 15,
  frameFormat: 16,
  frameStale: 17,
  frameRate: 18,
  notRtp: 19,
  /** SRTP: not authentic, or replayed. */
  authentication: 20,
  /** Fax: no UDPTL datagram, what should repair earlier ones, an IFP packet in it (T.38 9.1, 7). */
  udptl: 21,
  errorRecovery: 22,
  ifp: 23,
} as const;

export const REFUSAL_COUNT = 24;

/** The packet passed every check. */
export const ACCEPTED = -1;
/** The packet is RTCP on a multiplexed port (RFC 5761 4). */
export const IS_RTCP = -2;
