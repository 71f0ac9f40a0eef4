/**
 * One attempt to reach an address, run inside a namespace: `probe.js tcp|udp FROM FROMPORT TO TOPORT [TEXT]`.
 * Prints one JSON object: { answer: 'connected' | 'refused' | 'silence' | 'error', data }. Waits 1.2 s for an answer.
 */
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { root } from './run.ts';
import { inside, type Place } from './topology.ts';

export interface ProbeResult {
  readonly answer: 'connected' | 'refused' | 'silence' | 'error';
  readonly data: string;
}

export interface Probe {
  readonly transport: 'tcp' | 'udp';
  readonly from: string;
  readonly fromPort?: number;
  readonly to: string;
  readonly toPort: number;
  readonly text?: string;
}

const PATIENCE_MS = 1200;

/** Runs the probe from a namespace. */
export async function probe(place: Place, p: Probe): Promise<ProbeResult> {
  const file = `${root}/dist/test/lab/probe.js`;
  const args = [file, p.transport, p.from, String(p.fromPort ?? 0), p.to, String(p.toPort), p.text ?? ''];
  const [command, all] = inside(place, process.execPath, args);
  const { stdout } = await promisify(execFile)(command, all);
  return JSON.parse(stdout) as ProbeResult;
}

function finish(answer: ProbeResult['answer'], data = ''): never {
  console.log(JSON.stringify({ answer, data }));
  process.exit(0);
}

function failure(error: NodeJS.ErrnoException): never {
  finish(error.code === 'ECONNREFUSED' ? 'refused' : 'error', error.code ?? error.message);
}

function main([transport, from, fromPort, to, toPort, text]: string[]): void {
  setTimeout(() => finish('silence'), PATIENCE_MS);
  if (transport === 'tcp') {
    const socket = connect({
      host: to!,
      port: Number(toPort),
      localAddress: from!,
      localPort: Number(fromPort),
    });
    socket.on('error', failure);
    socket.on('connect', () => (text === '' ? finish('connected') : socket.write(text!)));
    socket.on('data', (data) => finish('connected', data.toString('latin1')));
    return;
  }
  const socket = createSocket(isIPv6(to!) ? 'udp6' : 'udp4');
  socket.on('error', failure);
  socket.on('message', (data) => {
    const text = data.toString('latin1');
    if (!text.startsWith('SIP/2.0 1')) finish('connected', text); // a provisional response is not the answer
  });
  socket.bind(Number(fromPort), from, () => socket.send(text ?? '', Number(toPort), to));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  main(process.argv.slice(2));
