import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { TlsAcceptor } from './tls-acceptor.ts';

const server = createServer();
after(() => server.close());

test('connections that are gone before they are looked at, all of one address then, give their places back', async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const refused: string[] = [];
  const acceptor = new TlsAcceptor(createTlsServer({}), 60_000, {
    onSecure: () => assert.fail('nobody shakes hands'),
    onRefused: (reason) => refused.push(reason),
  });
  let [taken, given] = [0, 0];
  const accepted: Socket[] = [];
  server.on('connection', (socket) => {
    // As where the reset came before: there is no address to be had.
    Object.defineProperty(socket, 'remoteAddress', { value: undefined });
    Object.defineProperty(socket, 'remotePort', { value: undefined });
    accepted.push(socket);
    taken++;
    acceptor.accept(socket, () => given++);
  });
  for (let i = 0; i < 5; i++) connect(port, '127.0.0.1').on('error', () => undefined);
  while (accepted.length < 5) await new Promise((resolve) => setTimeout(resolve, 5));
  for (const socket of accepted) socket.destroy();
  const until = Date.now() + 10_000;
  while (given < taken && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(given, taken);
  assert.equal(refused.length, taken);
});
