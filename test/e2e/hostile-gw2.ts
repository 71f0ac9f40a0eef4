/**
 * A termination gateway in an attacker's hands, as a process of its own: it has GW2's certificate and key and both ports, and
 * does to GW1 what its first argument says. Speaks to its parent by IPC: `ready`, `session`, counts of what GW1 sent.
 *   node hostile-gw2.js FOLDER SIGNALLING-PORT MEDIA-PORT
 * Commands from the parent: { do: 'garbage' | 'frames' | 'payloads' | 'setups' | 'media' | 'quiet' }
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { toHex } from '../../src/bytes/text.ts';
import { decodeMeta } from '../../src/meta/decode.ts';
import { encodeMeta } from '../../src/meta/encode.ts';
import { systemCrypto } from '../../src/net/providers.ts';
import { tunnelExporter, tunnelServerOptions } from '../../src/net/tls.ts';
import { readKeyed } from '../../src/store/pki.ts';
import { LANE_EXPORTER_LABEL, readHello, writeHello } from '../../src/tunnel/lane-hello.ts';
import {
  FRAME_HELLO_ACK,
  helloFrame,
  MEDIA_HEADER,
  mediaFrame,
  writeMedia,
} from '../../src/tunnel/media-frame.ts';
import { TunnelSession } from '../../src/tunnel/session.ts';
import { OFFER, party } from '../sim/attacker.ts';

const [folder, signallingPort, mediaPort] = process.argv.slice(2) as [string, string, string];
const file = (name: string): string => join(folder, 'pki', name);
const keyed = readKeyed(file('gw2.crt'), file('gw2.key'));
const tls = tunnelServerOptions({ ...keyed, ca: readFileSync(file('ca.crt'), 'utf8') });
const random = { bytes: (n: number) => randomBytes(n), uint32: () => randomBytes(4).readUInt32BE(0) };

type Attack = 'garbage' | 'frames' | 'payloads' | 'setups' | 'media' | 'quiet';
let attack: Attack = 'quiet';
let laneKey: Uint8Array | undefined;
let sessionId = '';
let nextBase = 8;
const lanes = new Set<TLSSocket>();
const connections = new Map<number, TLSSocket>();
let nextConnection = 1;
/** Stream bases of calls that GW1 has let in. */
const live: number[] = [];
const bases = new Map<string, number>();

const session = new TunnelSession(
  {
    role: 'acceptor',
    name: 'gw2',
    peerName: 'gw1',
    bootId: { startedAt: Date.now(), nonce: toHex(randomBytes(8)) },
    shards: 1,
    heartbeatEveryMs: 1000,
    deadAfterMs: 3000,
    resumeWithinMs: 30_000,
    backoff: { firstMs: 200, maxMs: 2000 },
    maxPayload: 8192,
  },
  systemCrypto,
  random,
);

function handle(input: Parameters<TunnelSession['handle']>[0]): void {
  session.handle(input, Math.round(performance.now()));
  for (let out = session.poll(); out !== undefined; out = session.poll()) {
    if (out.kind === 'send') connections.get(out.connection)?.write(out.bytes);
    else if (out.kind === 'close') connections.get(out.connection)?.end();
    else if (out.kind === 'event') {
      const { event } = out;
      if (event.kind === 'session') {
        laneKey = event.laneKey;
        sessionId = event.session;
        process.send?.({ event: 'session' });
      } else if (event.kind === 'fence-wanted') handle({ kind: 'fence', body: Uint8Array.of(0, 0) });
      else if (event.kind === 'payload') received(event.payload);
    }
  }
}

function received(payload: Uint8Array): void {
  const message = decodeMeta(payload, 0);
  if (!message.ok || message.value.kind !== 'proceeding') return;
  const base = bases.get(message.value.call);
  if (base !== undefined) live.push(base);
}

function say(message: Parameters<typeof encodeMeta>[0]): void {
  handle({ kind: 'send', payload: encodeMeta(message, 0) });
}

function act(): void {
  switch (attack) {
    case 'garbage':
      for (const socket of [...connections.values(), ...lanes]) socket.write(randomBytes(20_000));
      break;
    case 'frames':
      for (const socket of connections.values())
        socket.write(Buffer.alloc(40_000, Buffer.from([5, 0, 0, 4, 1, 2, 3, 4])));
      for (const socket of lanes) socket.write(Buffer.alloc(20_000, Buffer.from([0, 5, 0x20, 1, 2, 3, 4])));
      break;
    case 'payloads':
      for (let i = 0; i < 100; i++) handle({ kind: 'send', payload: randomBytes(1 + (i % 300)) });
      break;
    case 'setups':
      for (let i = 0; i < 30; i++) {
        const call = toHex(randomBytes(16));
        bases.set(call, nextBase);
        say({
          kind: 'setup',
          call,
          shard: 0,
          streamBase: nextBase,
          caller: party('4930901820'),
          callee: party('601'),
          priority: 'emergency',
          hops: 60,
          media: OFFER,
        });
        nextBase += 8;
      }
      break;
    case 'media': {
      // Streams nobody has opened, and the open ones far above their rate, with sound and with noise.
      for (const socket of lanes) {
        const out = Buffer.alloc(200 * (MEDIA_HEADER + 160));
        let at = 0;
        for (let i = 0; i < 200; i++) {
          const frame = mediaFrame();
          frame.stream =
            i % 2 === 0 ? random.uint32() : (live[(i >> 1) % Math.max(1, live.length)] ?? 12_345);
          frame.format = i % 8 < 4 ? 0 : i % 32;
          frame.sequence = random.uint32() & 0xffff;
          frame.timestamp = random.uint32();
          frame.bytes = randomBytes(160);
          frame.length = 160;
          at = writeMedia(out, at, frame);
        }
        socket.write(out);
      }
      break;
    }
    case 'quiet':
      break;
  }
}

const signalling = createServer(tls, (socket) => {
  const connection = nextConnection++;
  connections.set(connection, socket);
  socket.on('error', () => undefined);
  socket.on('data', (bytes) => handle({ kind: 'data', connection, bytes }));
  socket.on('close', () => {
    connections.delete(connection);
    handle({ kind: 'closed', connection, reason: 'closed' });
  });
  handle({ kind: 'connected', connection, exporter: tunnelExporter(socket) });
});

const media = createServer(tls, (socket) => {
  socket.on('error', () => undefined);
  socket.on('close', () => lanes.delete(socket));
  socket.once('data', (bytes) => {
    socket.on('data', () => undefined);
    const hello = readHello(bytes.subarray(3));
    if (!hello.ok || laneKey === undefined) return;
    const exporter = socket.exportKeyingMaterial(32, LANE_EXPORTER_LABEL, Buffer.alloc(0));
    const answer = { shard: 0, lane: hello.value.lane, session: sessionId };
    socket.write(
      helloFrame(FRAME_HELLO_ACK, writeHello('acceptor', answer, laneKey, exporter, systemCrypto)),
    );
    lanes.add(socket);
    process.send?.({ event: 'lane' });
  });
});

process.on('message', (message: { do: Attack }) => {
  attack = message.do;
});
process.on('disconnect', () => process.exit(0));
setInterval(() => {
  handle({ kind: 'timeout' });
  act();
}, 50);
signalling.listen(Number(signallingPort), '127.0.0.1', () =>
  media.listen(Number(mediaPort), '127.0.0.1', () => process.send?.({ event: 'ready' })),
);
