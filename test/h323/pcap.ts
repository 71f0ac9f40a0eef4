/** Transport payloads of a capture of a loopback without loss, flow by flow. */
import type { Packet } from '../lab/packets.ts';
import { readCapture, TCP } from '../lab/packets.ts';

export interface Flow {
  /** `source > destination`, each address and port. */
  readonly name: string;
  /** TCP payloads in order without repetitions, or UDP datagrams. */
  readonly payloads: Uint8Array[];
}

function flowName(p: Packet): string {
  return `${p.source} ${p.sourcePort} > ${p.destination} ${p.destinationPort}`;
}

/** Flows of one transport (TCP or UDP of packets.ts). */
export function readFlows(file: string, protocol: number): Flow[] {
  const flows = new Map<string, { payloads: Uint8Array[]; next: number | undefined }>();
  for (const packet of readCapture(file)) {
    if (packet.protocol !== protocol || packet.payload.length === 0) continue;
    const name = flowName(packet);
    const flow = flows.get(name) ?? { payloads: [], next: undefined };
    flows.set(name, flow);
    const { sequence } = packet;
    if (protocol === TCP && sequence !== undefined) {
      if (flow.next !== undefined && sequence !== flow.next) continue; // sent again
      flow.next = (sequence + packet.payload.length) >>> 0;
    }
    flow.payloads.push(packet.payload);
  }
  return [...flows].map(([name, { payloads }]) => ({ name, payloads }));
}
