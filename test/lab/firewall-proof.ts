/** What a capture on the firewall's intranet side proves: nothing came in but replies on GW1's own connections. */
import { ACK, ICMPV6, type Packet, SYN, TCP } from './packets.ts';
import { type Family, host } from './topology.ts';

export const TUNNEL_PORTS: readonly number[] = [7060, 7061];

export interface FirewallProof {
  /** Packets towards the intranet, all of them replies where `faults` is empty. */
  readonly inward: number;
  readonly outward: number;
  /** Connections that GW1 opened, by port. */
  readonly opened: Readonly<Record<number, number>>;
  /** One line for each packet that should not be there. */
  readonly faults: readonly string[];
}

/** Neighbour discovery, router advertisement and multicast listener reports of the link itself; they are never forwarded. */
const LINK_ICMP = new Set([130, 131, 132, 133, 134, 135, 136, 143]);

/** `packets`: captured between firewall and intranet. `family`: that of the tunnel. */
export function proveFirewall(packets: readonly Packet[], family: Family): FirewallProof {
  const gw1 = host.gw1[family];
  const gw2 = host.gw2Inner[family];
  const opened: Record<number, number> = {};
  const connections = new Set<string>();
  const faults: string[] = [];
  let inward = 0;
  let outward = 0;
  for (const p of packets) {
    if (p.ethernetType === 0x0806) continue; // ARP
    if (p.protocol === ICMPV6 && LINK_ICMP.has(p.icmpType ?? -1)) continue;
    if (
      p.protocol === TCP &&
      p.source === gw1 &&
      p.destination === gw2 &&
      TUNNEL_PORTS.includes(p.destinationPort!)
    ) {
      outward += 1;
      if ((p.flags! & (SYN | ACK)) === SYN) {
        connections.add(`${p.sourcePort} ${p.destinationPort}`);
        opened[p.destinationPort!] = (opened[p.destinationPort!] ?? 0) + 1;
      }
      continue;
    }
    const reply =
      p.protocol === TCP &&
      p.source === gw2 &&
      p.destination === gw1 &&
      (p.flags! & (SYN | ACK)) !== SYN &&
      connections.has(`${p.destinationPort} ${p.sourcePort}`);
    if (reply) inward += 1;
    else faults.push(line(p));
  }
  return { inward, outward, opened, faults };
}

function line(p: Packet): string {
  return `${p.source ?? '?'}:${p.sourcePort ?? ''} > ${p.destination ?? '?'}:${p.destinationPort ?? ''} protocol ${p.protocol ?? p.ethernetType.toString(16)} flags ${p.flags ?? ''} ${p.payload.length} octets`;
}
