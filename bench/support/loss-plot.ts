/**
 * Draws docs/media-loss.svg from the last line of `node dist/bench/loss.js --json`:
 * `node dist/bench/support/loss-plot.js RESULT.json docs/media-loss.svg`. Logarithmic, because the transports lie three decades apart.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface Result {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const NAMES: Readonly<Record<string, string>> = {
  udp: 'plain UDP',
  oneTcp: 'one TCP lane',
  stunnel: 'stunnel',
  ours: 'voip-sgw, cubic',
  oursBbr: 'voip-sgw, BBR',
};
const COLOURS: Readonly<Record<string, string>> = {
  udp: '#8a8f98',
  oneTcp: '#d98e5f',
  stunnel: '#b8603c',
  ours: '#2f7d5b',
  oursBbr: '#5aa886',
};
const TITLES: Readonly<Record<string, string>> = {
  A: 'RTT 20 ms, 1 % loss, 300 calls',
  B: 'RTT 50 ms, 3 % loss, 30 calls',
};

/** Percent; what is smaller is drawn as an empty bar with its number. */
const LEAST = 0.01;
const MOST = 100;
const LEFT = 130;
const WIDTH = 460;
const ROW = 22;

/** Pixels of a bar. */
function length(percent: number): number {
  const decades = Math.log10(MOST / LEAST);
  return Math.max(0, (Math.log10(Math.max(percent, LEAST) / LEAST) / decades) * WIDTH);
}

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${x}" y="${y}"${more}>${content}</text>`;
}

function panel(
  name: string,
  rows: Readonly<Record<string, unknown>>,
  top: number,
): readonly [string, number] {
  const parts = [text(0, top + 14, `Path ${name}: ${TITLES[name] ?? ''}`, ' font-weight="600"')];
  let y = top + 28;
  const shown = Object.entries(rows).filter((row): row is [string, number] => typeof row[1] === 'number');
  for (const percent of [0.01, 0.1, 1, 10, 100]) {
    const x = LEFT + length(percent);
    const bottom = y + shown.length * ROW;
    parts.push(`<line x1="${x}" y1="${y - 4}" x2="${x}" y2="${bottom}" stroke="#c9ccd1"/>`);
    parts.push(text(x, bottom + 14, `${percent} %`, ' text-anchor="middle" fill="#6b7078"'));
  }
  for (const [transport, percent] of shown) {
    const width = length(percent);
    parts.push(text(LEFT - 8, y + 13, NAMES[transport] ?? transport, ' text-anchor="end"'));
    parts.push(
      `<rect x="${LEFT}" y="${y}" width="${Math.max(1, width).toFixed(1)}" height="${ROW - 6}" fill="${COLOURS[transport] ?? '#666'}"/>`,
    );
    const label = `${Number(percent.toPrecision(2))} %`;
    const inside = width > WIDTH - 60;
    const x = LEFT + width + (inside ? -6 : 6);
    parts.push(text(x, y + 13, label, inside ? ' text-anchor="end" fill="#fff"' : ''));
    y += ROW;
  }
  return [parts.join('\n'), y + 34];
}

export function lossPlot(result: Result): string {
  const panels: string[] = [];
  let top = 26;
  for (const [name, rows] of Object.entries(result.paths)) {
    if (TITLES[name] === undefined) continue;
    const [drawn, next] = panel(name, rows, top);
    panels.push(drawn);
    top = next;
  }
  const title = 'Voice packets lost or too late (percent, logarithmic; see the text for void runs)';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -4 ${LEFT + WIDTH + 50} ${top}" font-family="sans-serif" font-size="12" fill="#1f2328" role="img" aria-label="${title}">
<rect x="-12" y="-4" width="100%" height="100%" fill="#fff"/>
${text(0, 12, title, ' font-size="14" font-weight="600"')}
${panels.join('\n')}
</svg>
`;
}

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined) {
  console.error('usage: loss-plot RESULT.json PLOT.svg');
  process.exitCode = 2;
} else {
  const last = readFileSync(from, 'utf8').trim().split('\n').at(-1) ?? '';
  writeFileSync(to, lossPlot(JSON.parse(last) as Result));
}
