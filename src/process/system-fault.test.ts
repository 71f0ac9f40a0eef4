import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { systemFault } from './system-fault.ts';

/** The error of a listener at a place that cannot be had. */
function listenError(host: string, port: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', resolve);
    server.listen(port, host, () => {
      server.close();
      reject(new Error('it could be had'));
    });
  });
}

test('a port in use: which one, and how to find who has it', async () => {
  const first = createServer();
  await new Promise<void>((resolve) => first.listen(0, '127.0.0.1', resolve));
  const { port } = first.address() as { port: number };
  const text = systemFault(await listenError('127.0.0.1', port));
  first.close();
  assert.match(text, new RegExp(`^127\\.0\\.0\\.1:${port} is in use: .*ss -lntup`));
});

test('an address that is not of this machine: which one, TCP and UDP', async () => {
  const pattern = /^192\.0\.2\.77 is no address of this machine .*correct the configuration/;
  assert.match(systemFault(await listenError('192.0.2.77', 5060)), pattern);
  const udp = createSocket('udp4');
  const error = new Promise((resolve) => udp.once('error', resolve));
  udp.bind(5060, '192.0.2.77');
  assert.match(systemFault(await error), pattern);
});

test('a folder that cannot be made: which one, and what to change', () => {
  assert.throws(
    () => mkdirSync('/dev/null/run'),
    (error) => /^the folder of \/dev\/null\/run does not exist; make it/.test(systemFault(error)),
  );
  const denied = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES', path: '/etc/x' });
  assert.match(systemFault(denied), /^this user may not write \/etc\/x; correct its owner/);
  assert.equal(systemFault(new Error('role and name cannot change')), 'role and name cannot change');
});
