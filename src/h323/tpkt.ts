/**
 * TPKT (RFC 1006 section 6, as H.225.0 and H.245 use it over TCP): `03 00`, then the length of the whole packet with these four
 * octets, big-endian. A packet without payload (`03 00 00 04`) is a keep-alive and yields nothing.
 */

const HEADER = 4;
/** Octets of payload one packet can carry. */
export const TPKT_MAX_PAYLOAD = 65_531;

export type TpktFault = 'version' | 'length' | 'limit';

/** Cuts a byte stream into payloads. Holds at most one incomplete packet; how long it may stay so is the endpoint's matter. */
export class TpktFramer {
  readonly #maxPayload: number;
  #partial = new Uint8Array(0);
  #filled = 0;
  #fault: TpktFault | undefined;
  #keepAlives = 0;

  /** `maxPayload`: octets, 1 .. 65531; a header announcing more is a fault at once. */
  constructor(maxPayload = TPKT_MAX_PAYLOAD) {
    this.#maxPayload = maxPayload;
  }

  /** Set once the stream is no TPKT (`version`, `length` below 4) or too long (`limit`); nothing comes after it. */
  get fault(): TpktFault | undefined {
    return this.#fault;
  }

  /** Whether an incomplete packet is waiting for the rest. */
  get partial(): boolean {
    return this.#filled > 0;
  }

  /** Empty packets so far. */
  get keepAlives(): number {
    return this.#keepAlives;
  }

  /** The payloads completed by `chunk`: copies of one or views into it. */
  push(chunk: Uint8Array): Uint8Array[] {
    const payloads: Uint8Array[] = [];
    let rest = chunk;
    while (rest.length > 0 && this.#fault === undefined) {
      if (this.#filled === 0 && rest.length >= HEADER) {
        const length = this.#lengthOf(rest);
        if (length === undefined) break;
        if (length <= rest.length) {
          this.#emit(payloads, rest.subarray(HEADER, length));
          rest = rest.subarray(length);
          continue;
        }
      }
      rest = this.#collect(rest, payloads);
    }
    return payloads;
  }

  /** Adds to the incomplete packet, header first; returns what is behind it. */
  #collect(chunk: Uint8Array, payloads: Uint8Array[]): Uint8Array {
    let rest = this.#fill(chunk, HEADER);
    if (this.#filled < HEADER) return rest;
    const length = this.#lengthOf(this.#partial);
    if (length === undefined) return rest;
    rest = this.#fill(rest, length);
    if (this.#filled === length) {
      this.#filled = 0;
      this.#emit(payloads, this.#partial.subarray(HEADER, length));
      this.#partial = new Uint8Array(0);
    }
    return rest;
  }

  #fill(chunk: Uint8Array, target: number): Uint8Array {
    const count = Math.min(chunk.length, target - this.#filled);
    if (count <= 0) return chunk;
    if (this.#partial.length < target) {
      const grown = new Uint8Array(target);
      grown.set(this.#partial.subarray(0, this.#filled));
      this.#partial = grown;
    }
    this.#partial.set(chunk.subarray(0, count), this.#filled);
    this.#filled += count;
    return chunk.subarray(count);
  }

  #lengthOf(header: Uint8Array): number | undefined {
    const length = (header[2]! << 8) | header[3]!;
    if (header[0] !== 3)
      this.#fault = 'version'; // the second octet is reserved: not looked at
    else if (length < HEADER) this.#fault = 'length';
    else if (length - HEADER > this.#maxPayload) this.#fault = 'limit';
    return this.#fault === undefined ? length : undefined;
  }

  #emit(payloads: Uint8Array[], payload: Uint8Array): void {
    if (payload.length === 0) this.#keepAlives++;
    else payloads.push(payload);
  }
}

/** One packet. Throws RangeError above TPKT_MAX_PAYLOAD octets: our own messages are far below. */
export function tpktPacket(payload: Uint8Array): Uint8Array {
  const length = HEADER + payload.length;
  if (length > 0xffff) throw new RangeError(`${payload.length} octets do not fit into a TPKT`);
  const out = new Uint8Array(length);
  out.set([3, 0, length >> 8, length & 0xff]);
  out.set(payload, HEADER);
  return out;
}
