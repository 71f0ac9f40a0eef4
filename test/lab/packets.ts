/** Reads a capture (classic pcap, Ethernet) down to TCP and UDP payloads; own code, so that every byte is seen as it was sent. */
import { readFileSync } from 'node:fs';
import { octetsToText } from './ip-text.ts';

export interface Packet {
  readonly seconds: number;
  readonly ethernetType: number;
  /** IPv4 protocol or IPv6 upper-layer protocol; undefined for ARP and the like. */
  readonly protocol?: number;
  readonly source?: string;
  readonly destination?: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** TCP: flags and sequence number. */
  readonly flags?: number;
  readonly sequence?: number;
  /** ICMPv6 type. */
  readonly icmpType?: number;
  readonly payload: Buffer;
}

export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;
export const SYN = 2;
export const ACK = 16;

export function readCapture(file: string): Packet[] {
  const data = readFileSync(file);
  const packets: Packet[] = [];
  if (data.length < 24) return packets;
  const magic = data.readUInt32LE(0);
  if (magic !== 0xa1b2c3d4 && magic !== 0xa1b23c4d) throw new Error(`${file}: not a little-endian pcap file`);
  const fraction = magic === 0xa1b2c3d4 ? 1e6 : 1e9;
  if (data.readUInt32LE(20) !== 1)
    throw new Error(`${file}: link type ${data.readUInt32LE(20)}, Ethernet expected`);
  const fragments = new Map<string, Buffer[]>();
  for (let at = 24; at + 16 <= data.length; ) {
    const length = data.readUInt32LE(at + 8);
    const seconds = data.readUInt32LE(at) + data.readUInt32LE(at + 4) / fraction;
    const frame = data.subarray(at + 16, at + 16 + length);
    at += 16 + length;
    if (frame.length >= 14) packets.push(ethernet(frame, seconds, fragments));
  }
  return packets;
}

function ethernet(frame: Buffer, seconds: number, fragments: Map<string, Buffer[]>): Packet {
  const ethernetType = frame.readUInt16BE(12);
  const body = frame.subarray(14);
  const base = { seconds, ethernetType, payload: body };
  if (ethernetType === 0x0800 && body.length >= 20) return ipv4(base, body, fragments);
  if (ethernetType === 0x86dd && body.length >= 40) return ipv6(base, body, fragments);
  return base;
}

function ipv4(base: Packet, body: Buffer, fragments: Map<string, Buffer[]>): Packet {
  const protocol = body[9]!;
  const source = octetsToText(body.subarray(12, 16));
  const destination = octetsToText(body.subarray(16, 20));
  const packet = { ...base, protocol, source, destination };
  const payload = body.subarray((body[0]! & 15) * 4, body.readUInt16BE(2));
  const word = body.readUInt16BE(6);
  if ((word & 0x3fff) === 0) return transport(packet, protocol, payload);
  const key = `${source} ${destination} ${protocol} ${body.readUInt16BE(4)}`;
  return fragment(packet, protocol, payload, key, (word & 0x1fff) === 0, (word & 0x2000) === 0, fragments);
}

function ipv6(base: Packet, body: Buffer, fragments: Map<string, Buffer[]>): Packet {
  const source = octetsToText(body.subarray(8, 24));
  const destination = octetsToText(body.subarray(24, 40));
  let protocol = body[6]!;
  let payload = body.subarray(40, 40 + body.readUInt16BE(4));
  while ((protocol === 0 || protocol === 43 || protocol === 60) && payload.length >= 8) {
    protocol = payload[0]!;
    payload = payload.subarray(8 + payload[1]! * 8);
  }
  if (protocol === 44 && payload.length >= 8) {
    const inner = payload[0]!;
    const word = payload.readUInt16BE(2);
    const key = `${source} ${destination} ${payload.readUInt32BE(4)}`;
    const rest = payload.subarray(8);
    return fragment(
      { ...base, protocol: inner, source, destination },
      inner,
      rest,
      key,
      word >> 3 === 0,
      (word & 1) === 0,
      fragments,
    );
  }
  return transport({ ...base, protocol, source, destination }, protocol, payload);
}

/** Fragments arrive in order here (veth); the whole stands in the place of the last one. */
function fragment(
  packet: Packet,
  protocol: number,
  part: Buffer,
  key: string,
  first: boolean,
  last: boolean,
  fragments: Map<string, Buffer[]>,
): Packet {
  const parts = first ? [part] : [...(fragments.get(key) ?? []), part];
  if (!last) {
    fragments.set(key, parts);
    return { ...packet, payload: part };
  }
  fragments.delete(key);
  return transport(packet, protocol, Buffer.concat(parts));
}

function transport(packet: Packet, protocol: number, data: Buffer): Packet {
  if (protocol === TCP && data.length >= 20) {
    return {
      ...packet,
      sourcePort: data.readUInt16BE(0),
      destinationPort: data.readUInt16BE(2),
      sequence: data.readUInt32BE(4),
      flags: data[13]!,
      payload: data.subarray((data[12]! >> 4) * 4),
    };
  }
  if (protocol === UDP && data.length >= 8) {
    return {
      ...packet,
      sourcePort: data.readUInt16BE(0),
      destinationPort: data.readUInt16BE(2),
      payload: data.subarray(8),
    };
  }
  if (protocol === ICMPV6 && data.length >= 4) return { ...packet, icmpType: data[0]!, payload: data };
  return { ...packet, payload: data };
}

/** Each direction of each TCP connection as the bytes that it carried, by sequence number; a hole is skipped. */
export function tcpStreams(packets: readonly Packet[]): Map<string, Buffer> {
  const parts = new Map<string, { first: number; segments: Map<number, Buffer> }>();
  for (const p of packets) {
    if (p.protocol !== TCP || p.sequence === undefined) continue;
    const key = `${p.source} ${p.sourcePort} > ${p.destination} ${p.destinationPort}`;
    const syn = (p.flags! & SYN) !== 0;
    const known = parts.get(key);
    const stream =
      known === undefined || syn
        ? { first: p.sequence + (syn ? 1 : 0), segments: new Map<number, Buffer>() }
        : known;
    if (syn && known !== undefined) parts.set(`${key} (before ${p.seconds})`, known);
    parts.set(key, stream);
    if (p.payload.length === 0) continue;
    const offset = (p.sequence - stream.first) >>> 0;
    const old = stream.segments.get(offset);
    if (old === undefined || old.length < p.payload.length) stream.segments.set(offset, p.payload);
  }
  return new Map([...parts].map(([key, stream]) => [key, join(stream.segments)]));
}

function join(segments: Map<number, Buffer>): Buffer {
  const out: Buffer[] = [];
  let next = 0;
  for (const [offset, data] of [...segments].sort((a, b) => a[0] - b[0])) {
    if (offset + data.length <= next) continue; // sent again
    out.push(offset < next ? data.subarray(next - offset) : data);
    next = offset + data.length;
  }
  return Buffer.concat(out);
}
