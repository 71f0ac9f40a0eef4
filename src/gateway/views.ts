/** What the operator's commands show. Numbers are shortened unless the operator's own command asks: it is a local socket, 0600. */

import { numberOf, userOf } from '../interworking/sip-parties.ts';
import type { CallView, OperatorCommand, StatusView, TraceView } from './contract.ts';
import type { GatewayCall } from './gateway-call.ts';
import { qualityOf } from './records.ts';
import type { GatewayState } from './state.ts';

export function operatorReply(
  gw: GatewayState,
  command: OperatorCommand,
): { value: unknown; error?: string } {
  switch (command.command) {
    case 'status':
      return { value: statusView(gw) };
    case 'calls':
      return { value: [...gw.calls.values()].map((call) => callView(gw, call)) };
    case 'trace':
      return traceView(gw, command.call);
    case 'route-test':
      return routeView(gw, command.number, command.from ?? 'peers');
    case 'drain':
      return { value: { draining: true, calls: gw.calls.size } };
  }
}

/** An origin that does not exist would look as if a rule had refused the call. */
function routeView(gw: GatewayState, number: string, from: string): { value: unknown; error?: string } {
  const origins = [
    'peers',
    'tunnel',
    ...gw.config.peers.map(({ name }) => `peer:${name}`),
    ...[...gw.links.keys()].map((site) => `tunnel:${site}`),
  ];
  if (!origins.includes(from)) {
    return {
      value: undefined,
      error: `calls do not come from "${from}" here; say one of: ${origins.join(', ')}`,
    };
  }
  const callee = { ...numberOf(number), privacy: 'allowed', verified: false } as const;
  return { value: gw.policy.explain(from, callee) };
}

function statusView(gw: GatewayState): StatusView {
  return {
    name: gw.config.name,
    role: gw.config.role,
    draining: gw.draining,
    calls: gw.calls.size,
    tunnels: [...gw.links.values()].map((link) => ({
      site: link.site,
      state: link.state,
      lanes: link.lanes.size,
      roundTripMs: link.roundTripMs,
      session: link.sessionId,
      ...(link.problem === undefined ? {} : { problem: link.problem.reason }),
    })),
    peers: gw.config.peers.map((peer) => ({
      name: peer.name,
      state: gw.peersDown.has(peer.name) ? 'down' : gw.peersUp.has(peer.name) ? 'up' : 'unprobed',
    })),
    trunks: gw.config.peers
      .filter((peer) => peer.register === true)
      .map(({ name }) => {
        const { registered = false, until = 0, reason = 'asking' } = gw.trunks.get(name) ?? {};
        const secondsLeft = registered ? Math.max(0, Math.round((until - gw.now) / 1000)) : 0;
        return { peer: name, registered, secondsLeft, reason };
      }),
    shards: [...gw.shards].map(([shard, implementation]) => ({ shard, implementation })),
    registrations: gw.registrar.size + gw.terminals.size,
    counters: gw.counters.view(),
    foreignNames: gw.counters.foreign(),
  };
}

function callView(gw: GatewayState, call: GatewayCall): CallView {
  const { half } = call;
  const { setupAt, connectAt } = half.facts;
  const streams = call.adapter.streams().filter((s) => s.active);
  return {
    call: half.call,
    state: half.state,
    side: half.side,
    peer: call.peer,
    site: call.site,
    caller: userOf(call.caller),
    callee: userOf(call.callee),
    startedAt: isoTime(gw.providers.wall() - (gw.now - (setupAt ?? gw.now))),
    connectedSeconds: connectAt === undefined ? 0 : Math.floor((gw.now - connectAt) / 1000),
    codecs: [...new Set(streams.flatMap((s) => s.formats.map((f) => f.format.name)))],
    streams: gw.media.counters(half.call).map((c) => ({ ...c, quality: qualityOf(gw, call, c) })),
  };
}

function traceView(gw: GatewayState, wanted: string): { value: TraceView | undefined; error?: string } {
  const found = gw.trace.find(wanted);
  if (found === 'unknown') {
    return {
      value: undefined,
      error: `no call "${wanted}" here: "voip-sgw calls" lists the live ones; ended calls stay for the next 200`,
    };
  }
  if (found === 'ambiguous')
    return { value: undefined, error: `"${wanted}" begins more than one call id: give more of it` };
  return {
    value: {
      call: found.call,
      gateway: gw.config.name,
      role: gw.config.role,
      peer: found.trace.peer,
      site: found.trace.site,
      entries: found.trace.entries,
    },
  };
}

/** UTC, RFC 3339; the pure folders have no Date. */
export function isoTime(wall: number): string {
  const whole = Math.floor(wall);
  const days = Math.floor(whole / 86_400_000);
  const ms = whole - days * 86_400_000;
  // Civil from days (proleptic Gregorian), era of 400 years.
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const doe = z - era * 146_097;
  const yoe = Math.floor(
    (doe - Math.floor(doe / 1460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365,
  );
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const day = doy - Math.floor((153 * mp + 2) / 5) + 1;
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  const two = (n: number): string => String(n).padStart(2, '0');
  const time = Math.floor(ms / 1000);
  return `${year}-${two(month)}-${two(day)}T${two(Math.floor(time / 3600))}:${two(Math.floor(time / 60) % 60)}:${two(time % 60)}.${String(ms % 1000).padStart(3, '0')}Z`;
}
