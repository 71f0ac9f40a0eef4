/**
 * The per-packet hook between a leg's UDP side and the packet path: where SRTP (RFC 3711, RFC 7714) takes its place. One object per leg and kind of
 * packet (RTP, RTCP), called once per packet, in place. The source is checked before `unprotect`, so that a flood from elsewhere costs no
 * cryptography; every other check comes after it.
 */
export interface PacketTransform {
  /**
   * A datagram of the far end, `length` octets (0 .. MAX_DATAGRAM + 1) at `offset`, in the clear afterwards at the same place. Returns the new
   * length, no longer than before, or a negative number: refused (counted as `authentication`). Never throws on what a peer sent.
   */
  unprotect(buffer: Uint8Array, offset: number, length: number): number;
  /**
   * An own packet of `length` octets at `offset`; MOST_ADDED octets are free behind it. Returns the new length, or a negative number: not
   * to be sent.
   */
  protect(buffer: Uint8Array, offset: number, length: number): number;
}

/** RTCP grows by 4 octets of index, a key identifier and a tag of 16 (RFC 3711 3.4, RFC 7714 9). */
export const MOST_ADDED = 64;

/** Of one leg. */
export interface LegTransforms {
  readonly rtp: PacketTransform;
  readonly rtcp: PacketTransform;
}

/** Plain RTP. */
export const IDENTITY: PacketTransform = {
  unprotect: (_buffer, _offset, length) => length,
  protect: (_buffer, _offset, length) => length,
};
