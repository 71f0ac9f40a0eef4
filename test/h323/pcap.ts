/** Transport payloads of a capture file (pcap, Ethernet, IPv4 or IPv6), enough for loopback captures without loss. */
import { readFileSync } from 'node:fs';

export interface Flow {
  /** `source > destination`, each `address:port`. */
  readonly name: string;
  /** TCP payloads in order without repetitions, or UDP datagrams. */
  readonly payloads: Uint8Array[];
}

interface Segment {
  readonly flow: string;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** Flows of one transport (6 TCP, 17 UDP). */
export function readFlows(file: string, protocol: 6 | 17): Flow[] {
  const bytes = readFileSync(file);
  const flows = new Map<string, { flow: Flow; next: number | undefined }>();
  for (let at = 24; at + 16 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    const segment = segmentOf(bytes.subarray(at + 16, at + 16 + length), protocol);
    at += 16 + length;
    if (segment === undefined || segment.payload.length === 0) continue;
    const known = flows.get(segment.flow) ?? { flow: { name: segment.flow, payloads: [] }, next: undefined };
    flows.set(segment.flow, known);
    if (protocol === 6 && known.next !== undefined && segment.sequence !== known.next) continue; // sent again
    known.next = (segment.sequence + segment.payload.length) >>> 0;
    known.flow.payloads.push(segment.payload);
  }
  return [...flows.values()].map((f) => f.flow);
}

function segmentOf(frame: Buffer, protocol: number): Segment | undefined {
  if (frame.readUInt16BE(12) !== 0x0800 || frame[23] !== protocol) return undefined;
  const ip = frame.subarray(14, 14 + frame.readUInt16BE(16));
  const transport = ip.subarray((ip[0]! & 15) * 4);
  const address = (at: number): string => ip.subarray(at, at + 4).join('.');
  const flow = `${address(12)}:${transport.readUInt16BE(0)} > ${address(16)}:${transport.readUInt16BE(2)}`;
  const header = protocol === 17 ? 8 : (transport[12]! >> 4) * 4;
  return {
    flow,
    sequence: protocol === 17 ? 0 : transport.readUInt32BE(4),
    payload: transport.subarray(header),
  };
}
