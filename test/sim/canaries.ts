/** Words planted on one side of the gateways that must never be seen on the other (topology hiding). */

import assert from 'node:assert/strict';
import type { Address } from '../../src/machine/address.ts';
import type { Delivered, World } from './world.ts';

/** Adds headers to a peer's message that no gateway may pass on. */
export function plantCanaries(name: string, bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  const end = text.indexOf('\r\n');
  const canaries = `User-Agent: Product-${name}/9.9\r\nX-Canary-${name}: planted-${name}@private.${name}.example\r\n`;
  return Buffer.from(`${text.slice(0, end + 2)}${canaries}${text.slice(end + 2)}`, 'latin1');
}

/** What of a side's messages is private to it. */
function secretsOf(message: Delivered, out: Set<string>): void {
  const { text } = message;
  for (const pattern of [
    /^(?:Call-ID|i): *(\S+)/gim,
    /[;]tag=([^;,\s>]+)/gi,
    /[;]branch=([^;,\s>]+)/gi,
    /^o=(\S+ \S+) /gm,
    /^s=(\S{3,})/gm,
    /(Product-[\w/.]+|X-Canary-\w+|planted-\S+|private\.\S+)/g,
  ]) {
    for (const match of text.matchAll(pattern)) out.add(match[1]!.toLowerCase());
  }
  for (const { ip } of [message.from, message.to]) out.add(ip);
}

/** No datagram the gateways sent to one side holds an address, identifier or word of the other side. */
export function assertTopologyHidden(world: World): void {
  const gateways = new Set([...world.gateways.values()].map((g) => g.address.ip));
  const inside = (address: Address): boolean => address.ip.startsWith('10.');
  const secrets = { inside: new Set<string>(), outside: new Set<string>() };
  for (const message of world.delivered)
    secretsOf(message, inside(message.to) || inside(message.from) ? secrets.inside : secrets.outside);
  // A gateway's own name for its session description may be the same on both sides.
  for (const { from, to, text } of world.delivered) {
    if (!gateways.has(from.ip)) continue;
    const lower = text.toLowerCase();
    for (const secret of inside(to) ? secrets.outside : secrets.inside) {
      assert.ok(!lower.includes(secret), `${secret} of the other side in a datagram to ${to.ip}:\n${text}`);
    }
  }
}
