/** rtpengine (Debian: rtpengine-daemon) in user space as a private process, set up through its ng protocol. */
import { spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { PHONE_A, PHONE_B, phonePorts, type Relay, type Route } from './media-route.ts';
import { haveProgram } from './support/install.ts';

const IP = '127.77.0.4';
const CONTROL_PORT = 22_222;

type Value = string | readonly string[];

/** Bencoding, as far as the ng protocol needs it. */
function bencode(fields: Readonly<Record<string, Value>>): string {
  const text = (s: string): string => `${Buffer.byteLength(s)}:${s}`;
  const value = (v: Value): string => (typeof v === 'string' ? text(v) : `l${v.map(text).join('')}e`);
  return `d${Object.keys(fields)
    .sort()
    .map((key) => text(key) + value(fields[key]!))
    .join('')}e`;
}

function sdp(ip: string, port: number): string {
  return `v=0\r\no=- 1 1 IN IP4 ${ip}\r\ns=-\r\nc=IN IP4 ${ip}\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\na=sendrecv\r\n`;
}

async function ask(socket: Socket, cookie: string, fields: Readonly<Record<string, Value>>): Promise<string> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const answer = new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => done(undefined), 250);
      const heard = (message: Buffer): void => {
        const text = message.toString('latin1');
        if (text.startsWith(`${cookie} `)) done(text);
      };
      const done = (text: string | undefined): void => {
        clearTimeout(timer);
        socket.off('message', heard);
        resolve(text);
      };
      socket.on('message', heard);
    });
    socket.send(`${cookie} ${bencode(fields)}`, CONTROL_PORT, IP);
    const text = await answer;
    if (text !== undefined) return text;
  }
  throw new Error('rtpengine does not answer');
}

async function port(
  socket: Socket,
  cookie: string,
  fields: Readonly<Record<string, Value>>,
): Promise<number> {
  const answer = await ask(socket, cookie, fields);
  const found = /m=audio (\d+)/.exec(answer)?.[1];
  if (found === undefined) throw new Error(`rtpengine refuses: ${answer.slice(0, 200)}`);
  return Number(found);
}

/** Undefined where rtpengine is not to be had. */
export async function startRtpengine(calls: number): Promise<Relay | undefined> {
  if (!haveProgram('rtpengine', 'rtpengine-daemon')) return undefined;
  const child = spawn(
    'rtpengine',
    [
      '--config-file=none',
      '--foreground',
      '--table=-1',
      `--interface=${IP}`,
      `--listen-ng=${IP}:${CONTROL_PORT}`,
      '--port-min=20000',
      '--port-max=26000',
      '--log-stderr',
      '--log-level=3',
      '--timeout=300',
    ],
    { stdio: 'ignore' },
  );
  const socket = createSocket('udp4');
  const stop = async (): Promise<void> => {
    socket.close();
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  };
  try {
    await ask(socket, 'ping', { command: 'ping' });
    const routes: Route[] = [];
    for (let i = 0; i < calls; i++) routes.push(await route(socket, i));
    return { aIp: IP, bIp: IP, routes, pids: [child.pid!], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function route(socket: Socket, call: number): Promise<Route> {
  const phones = phonePorts(call);
  const common = { 'call-id': `bench-${call}`, 'from-tag': 'a', ICE: 'remove', flags: ['trust-address'] };
  const bTarget = await port(socket, `o${call}`, {
    ...common,
    command: 'offer',
    sdp: sdp(PHONE_A, phones.aPort),
  });
  const aTarget = await port(socket, `a${call}`, {
    ...common,
    command: 'answer',
    'to-tag': 'b',
    sdp: sdp(PHONE_B, phones.bPort),
  });
  return { ...phones, aTarget, bTarget };
}
