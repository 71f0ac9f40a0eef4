/** What `calls`, `status` and `route-test` print. */
import type { CallView, StatusView } from '../gateway/contract.ts';
import type { RouteExplanation } from '../policy/dial-rules.ts';
import { printable, table } from './io.ts';

const CALL_HEAD = [
  'CALL',
  'STATE',
  'FROM',
  'TO',
  'PEER',
  'SITE',
  'TIME',
  'CODEC',
  'LOSS',
  'JITTER',
  'MOS',
] as const;

export function callsTable(calls: readonly CallView[]): string {
  if (calls.length === 0) return 'No calls.\n';
  const rows = calls.map((call) => [
    call.call.slice(0, 8),
    call.state,
    // The arrow's side tells where the call entered: at this gateway's own side or at the far gateway.
    call.side === 'originator' ? `${call.caller} >` : call.caller,
    call.side === 'originator' ? call.callee : `> ${call.callee}`,
    call.peer,
    call.site,
    duration(call.connectedSeconds),
    call.codecs.join(',') || '-',
    ...quality(call),
  ]);
  return `${table(CALL_HEAD, rows)}${calls.length} ${calls.length === 1 ? 'call' : 'calls'}\n`;
}

/** Of what this gateway receives at its own side: loss in per cent, worst jitter in ms, worst MOS. */
function quality(call: CallView): [loss: string, jitter: string, mos: string] {
  const streams = call.streams.filter((stream) => stream.packetsIn > 0);
  if (streams.length === 0) return ['-', '-', '-'];
  const received = streams.reduce((sum, stream) => sum + stream.packetsIn, 0);
  const lost = streams.reduce((sum, stream) => sum + Math.max(0, stream.lostIn), 0);
  const jitter = Math.max(...streams.map((stream) => stream.jitterInMs));
  const scores = streams.map((stream) => stream.mosIn).filter((score) => score > 0);
  return [
    `${((100 * lost) / (received + lost)).toFixed(1)}%`,
    `${jitter.toFixed(0)} ms`,
    scores.length === 0 ? '-' : Math.min(...scores).toFixed(1),
  ];
}

function duration(seconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const clock = `${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
  return seconds >= 3600 ? `${Math.floor(seconds / 3600)}:${clock}` : clock;
}

export function statusText(status: StatusView): string {
  const lines = [
    `${status.name} (${status.role} gateway)${status.draining ? ', draining: no new calls' : ''}`,
    `calls: ${status.calls}, remote users registered: ${status.registrations}`,
    '',
  ];
  const tunnels = status.tunnels.map((tunnel) => [
    tunnel.site,
    tunnel.problem === undefined ? tunnel.state : `${tunnel.state} (${tunnel.problem})`,
    String(tunnel.lanes),
    tunnel.state === 'up' ? `${tunnel.roundTripMs.toFixed(1)} ms` : '-',
  ]);
  const peers = status.peers.map((peer) => [peer.name, peer.state]);
  const trunks = status.trunks.map((trunk) => [
    trunk.peer,
    trunk.registered ? `registered, ${trunk.secondsLeft} s left` : 'not registered',
    trunk.reason,
  ]);
  const shards = status.shards.map((shard) => [String(shard.shard), shard.implementation]);
  const sections = [
    table(['TUNNEL', 'STATE', 'MEDIA CONNECTIONS', 'ROUND TRIP'], tunnels),
    table(['PEER', 'STATE'], peers),
    table(['TRUNK', 'REGISTRATION', 'LAST ANSWER'], trunks),
    table(['MEDIA WORKER', 'IMPLEMENTATION'], shards),
    counterText(status.counters, status.foreignNames),
  ];
  return `${lines.join('\n')}${sections.filter((section) => section !== '').join('\n')}`;
}

function counterText(counters: StatusView['counters'], foreign: StatusView['foreignNames']): string {
  const rows = Object.entries({ ...counters, 'not passed': foreign }).flatMap(([family, labels]) =>
    Object.entries(labels)
      .filter(([, count]) => count > 0)
      .map(([label, count]) => [family, label, String(count)]),
  );
  return rows.length === 0 ? '' : table(['COUNTER', 'REASON', 'COUNT'], rows);
}

/** What policy explains of a number (policy/dial-rules.ts): the outcome, then the rules in the order they were tried. */
export function routeText(explanation: RouteExplanation): string {
  const steps = explanation.steps.map((step) => `  ${step.route}: ${step.outcome}`);
  return [explanation.summary, ...steps].map((line) => `${printable(line)}\n`).join('');
}
