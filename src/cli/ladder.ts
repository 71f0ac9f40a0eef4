/**
 * One call as a ladder. Each gateway draws what it sees, in the order of the drawing on the front page: Internet on the left.
 *   termination gateway:  Internet peer | GW2 | tunnel        relay gateway:  tunnel | GW1 | IP-PBX
 */
import type { TraceEntry, TraceView } from '../gateway/contract.ts';
import { printable } from './io.ts';

const TIME = 'HH:MM:SS.mmm  '.length;
const MIN_LANE = 20;
const MAX_LANE = 44;

/** `columns`: width of the terminal, default 100. */
export function ladder(trace: TraceView, columns = 100): string {
  const lane = Math.max(MIN_LANE, Math.min(MAX_LANE, Math.floor((columns - TIME - 3) / 2)));
  const relay = trace.role === 'relay';
  const peer = `${relay ? 'intranet' : 'Internet'}: ${trace.peer}`;
  const tunnel = `tunnel: ${trace.site}`;
  const heads = relay ? [tunnel, trace.gateway, peer] : [peer, trace.gateway, tunnel];
  const title = `Call ${trace.call} at ${trace.gateway} (${trace.role} gateway), times UTC\n\n`;
  const lines = trace.entries.map((entry) => step(entry, relay, lane));
  if (lines.length === 0) lines.push(`${' '.repeat(TIME)}nothing recorded yet\n`);
  return printableLines(title + headLine(heads, lane) + lines.join(''));
}

/** The three names, each over its line as far as there is room. */
function headLine(heads: readonly string[], lane: number): string {
  const [left = '', middle = '', right = ''] = heads.map((head) => cut(printable(head), lane - 2));
  const centre = TIME + lane + 1;
  const start = Math.max(TIME + left.length + 2, centre - Math.floor(middle.length / 2));
  const head = `${' '.repeat(TIME)}${left}`.padEnd(start) + middle;
  const end = TIME + 2 * lane + 3;
  return `${head.padEnd(Math.max(head.length + 2, end - right.length))}${right}\n`;
}

function step(entry: TraceEntry, relay: boolean, lane: number): string {
  // The tunnel is to the right of GW2 and to the left of GW1.
  const isRight = (entry.column === 'tunnel') !== relay;
  const pointsRight = isRight === (entry.direction === 'out');
  const drawn = arrow(entry.line, pointsRight, lane);
  const blank = ' '.repeat(lane);
  const time = new Date(entry.at).toISOString().slice(11, 23);
  return `${time}  |${isRight ? blank : drawn}|${isRight ? drawn : blank}|\n`;
}

/** `-- text ----->` or `<-- text -----`, exactly `width` characters. */
function arrow(line: string, pointsRight: boolean, width: number): string {
  const text = cut(printable(line), width - 6);
  const body = `-- ${text} `;
  return pointsRight ? `${body.padEnd(width - 1, '-')}>` : `<${body.padEnd(width - 1, '-')}`;
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}~`;
}

/** Control characters of foreign text are gone already; this keeps our own line ends and nothing else. */
function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
