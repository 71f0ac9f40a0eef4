/** Check that no two sockets of this gateway are on one port. Pure. */
import type { GatewayConfig } from '../gateway/config.ts';
import type { Findings } from './config-findings.ts';
import { bindsOverlap } from './config-values.ts';
import type { ConfigPath } from './yaml-source.ts';

interface Bound {
  readonly path: ConfigPath;
  readonly protocol: 'udp' | 'tcp';
  readonly ip: string;
  readonly ports: readonly [number, number];
  readonly what: string;
}

export function checkPorts(config: GatewayConfig, findings: Findings): void {
  const one = (port: number): [number, number] => [port, port];
  const bound: Bound[] = [];
  if (config.role === 'termination') {
    for (const key of ['signalling', 'media'] as const) {
      const { ip, port } = config.tunnel[key];
      bound.push({ path: ['tunnel', key], protocol: 'tcp', ip, ports: one(port), what: `tunnel.${key}` });
    }
  }
  // Pools first: where they are derived from listeners, the fault is shown at the listener.
  config.media.pools.forEach((pool, index) => {
    const path = ['media', 'pools', index, 'ports'];
    bound.push({ path, protocol: 'udp', ip: pool.ip, ports: pool.ports, what: 'the media ports' });
  });
  config.sip.listeners.forEach(({ name, transport, address }, index) => {
    const protocol = transport === 'udp' ? 'udp' : 'tcp';
    const path = ['sip', 'listeners', index, 'address'];
    bound.push({ path, protocol, ip: address.ip, ports: one(address.port), what: `listener "${name}"` });
  });
  const { h323 } = config;
  h323?.listeners.forEach(({ name, transport, address }, index) => {
    const path = ['h323', 'listeners', index, 'address'];
    bound.push({
      path,
      protocol: transport,
      ip: address.ip,
      ports: one(address.port),
      what: `listener "${name}"`,
    });
  });
  for (const { transport, address } of h323?.listeners ?? []) {
    if (transport === 'udp') continue;
    const path = ['h323', 'h245Ports'];
    bound.push({ path, protocol: 'tcp', ip: address.ip, ports: h323!.h245Ports, what: 'h323.h245Ports' });
  }
  const { metrics } = config.operator;
  if (metrics !== undefined) {
    const path = ['operator', 'metrics'];
    bound.push({ path, protocol: 'tcp', ip: metrics.ip, ports: one(metrics.port), what: 'operator.metrics' });
  }
  // checkTunnelAddresses has compared the two tunnel ports with each other already.
  bound.forEach((later, index) => {
    const clash = bound
      .slice(0, index)
      .find((earlier) => earlier.what !== later.what && overlaps(earlier, later));
    if (clash !== undefined && !(index === 1 && later.path[0] === 'tunnel')) {
      findings.error(
        later.path,
        `takes the same ${later.protocol.toUpperCase()} port as ${clash.what}; choose another`,
      );
    }
  });
}

function overlaps(a: Bound, b: Bound): boolean {
  if (a.protocol !== b.protocol || !bindsOverlap(a.ip, b.ip)) return false;
  return a.ports[0] <= b.ports[1] && b.ports[0] <= a.ports[1];
}
