import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { after, test } from 'node:test';
import type { GatewayConfig, H323Config } from '../gateway/config.ts';
import { SipResolver } from '../net/dns.ts';
import { type SipListenerOptions, SipTransport } from '../net/sip-transport.ts';
import { H323Carrier } from './h323-carrier.ts';
import { moveListeners } from './move-listeners.ts';

const IP = '127.0.0.1';
const ends: (() => unknown)[] = [];
after(async () => {
  for (const end of ends) await end();
});

/** A port that was free a moment ago, or one that somebody holds. */
async function port(held = false): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, IP, resolve));
  const { port } = server.address() as { port: number };
  if (held) ends.push(() => server.close());
  else await new Promise((resolve) => server.close(resolve));
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, IP, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function transport(): SipTransport {
  const ignore = (): void => undefined;
  const it = new SipTransport({
    onDatagram: ignore,
    onStreamOpen: ignore,
    onStreamData: ignore,
    onStreamClosed: ignore,
    onUnreachable: ignore,
    onRefused: ignore,
  });
  ends.push(() => it.stop());
  return it;
}

const tcp = (name: string, port: number): SipListenerOptions => ({
  name,
  transport: 'tcp',
  address: { ip: IP, port },
});

test('listeners move together or not at all; what was done is undone where something else fails', async () => {
  const [a, b, c, taken] = [await port(), await port(), await port(), await port(true)];
  const it = transport();
  const first = [tcp('one', a), tcp('two', b)];
  await moveListeners(it, [], first);
  await assert.rejects(moveListeners(it, first, [tcp('one', c), tcp('two', taken)]), /EADDRINUSE/);
  assert.deepEqual([await answers(a), await answers(b), await answers(c)], [true, true, false]);
  const moved = await moveListeners(it, first, [tcp('one', c)]);
  assert.deepEqual(moved.messages, ['listener one: opened', 'listener two: closed']);
  assert.deepEqual([await answers(a), await answers(b), await answers(c)], [false, false, true]);
  await moved.undo();
  assert.deepEqual([await answers(a), await answers(b), await answers(c)], [true, true, false]);
});

test('an H.323 listener whose new port is taken stays where it was', async () => {
  const [a, taken] = [await port(), await port(true)];
  const config = (port: number) =>
    ({ listeners: [{ name: 'h323', transport: 'tcp', address: { ip: IP, port } }] }) as unknown as H323Config;
  const carrier = new H323Carrier(
    { limits: { connectionsPerSource: 20 } } as GatewayConfig,
    new SipResolver(),
    { input: () => undefined, refused: () => undefined },
  );
  ends.push(() => carrier.stop());
  await carrier.listen(config(a));
  await assert.rejects(carrier.listen(config(taken)), /EADDRINUSE/);
  assert.ok(await answers(a), 'the old one is open');
  await carrier.listen(undefined);
  assert.ok(!(await answers(a)));
});
