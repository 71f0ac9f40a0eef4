import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { MetricsServer } from './metrics-server.ts';
import { OperatorServer, type OperatorServerOptions, operatorRequest } from './unix-socket.ts';

const folder = mkdtempSync(join(tmpdir(), 'voip-sgw-net-'));
const open: { stop(): unknown }[] = [];
let sockets = 0;
after(async () => {
  for (const it of open) await it.stop();
  rmSync(folder, { recursive: true });
});

async function serve(
  handler: (request: unknown) => unknown,
  extra: Partial<OperatorServerOptions> = {},
): Promise<string> {
  const path = join(folder, `s${sockets++}`);
  open.push(await OperatorServer.listen({ path, ...extra }, handler));
  return path;
}

test('who asks without end, or does not read his answers, is cut off; others have their answers meanwhile', async () => {
  let asked = 0;
  const path = await serve(() => {
    asked++;
    return 'x'.repeat(20_000);
  });
  const flood = connect(path, () => flood.write('{"command":"calls"}\n'.repeat(50_000)));
  flood.on('error', () => undefined).pause();
  await new Promise((resolve) => flood.once('connect', resolve));
  assert.equal(await operatorRequest(path, 1), 'x'.repeat(20_000));
  await new Promise((resolve) => flood.resume().once('close', resolve));
  assert.ok(asked <= 66, `${asked} were looked at`);
});

function raw(path: string, text: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let got = '';
    const socket = connect(path, () => socket.write(text));
    socket.on('data', (chunk) => {
      got += chunk;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(got));
  });
}

test('request and response, errors with their message, mode 0600', async () => {
  const path = await serve((request) => {
    if (request === 'fail') throw new Error('no such call');
    return Promise.resolve({ echo: request });
  });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(await operatorRequest(path, { a: 'ä\n' }), { echo: { a: 'ä\n' } });
  await assert.rejects(operatorRequest(path, 'fail'), /no such call/);
  await assert.rejects(operatorRequest(join(folder, 'nobody'), 1), /ENOENT/);
});

test('requests on one connection are answered one at a time and in order', async () => {
  let running = 0;
  const path = await serve(
    async (request) => {
      assert.equal(++running, 1);
      await new Promise((resolve) => setTimeout(resolve, 10 - Number(request)));
      running--;
      return request;
    },
    { deadlineMs: 300 },
  );
  const got = await raw(path, '1\n5\n9\n');
  assert.deepEqual(
    got
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [1, 5, 9].map((value) => ({ ok: true, value })),
  );
});

test('a line that is too long, or no JSON, or never ends: refused, within the deadline', async () => {
  const path = await serve(() => 1, { maxRequestBytes: 100, deadlineMs: 200 });
  assert.match(await raw(path, Buffer.alloc(200, 97)), /request too long/);
  assert.match(await raw(path, 'rubbish\n'), /"ok":false/);
  const started = Date.now();
  assert.equal(await raw(path, '{"half'), '');
  assert.ok(Date.now() - started < 8000);
});

test('a handler that never answers: the client’s deadline ends the wait', async () => {
  const path = await serve(() => new Promise(() => undefined));
  await assert.rejects(operatorRequest(path, 1, { deadlineMs: 100 }), /in time/);
});

test('a large response arrives whole; above the limit it is refused', async () => {
  const big = 'x'.repeat(3_000_000);
  const path = await serve(() => big);
  assert.equal(await operatorRequest(path, 1), big);
  await assert.rejects(operatorRequest(path, 1, { maxResponseBytes: 1000 }), /no valid answer/);
});

test('a socket left behind is replaced; a living one, or a file, is not', async () => {
  const path = await serve(() => 1);
  await assert.rejects(
    OperatorServer.listen({ path }, () => 2),
    /running gateway/,
  );
  const file = join(folder, 'file');
  writeFileSync(file, 'precious');
  await assert.rejects(
    OperatorServer.listen({ path: file }, () => 2),
    /not a socket/,
  );
  const stale = join(folder, 'stale');
  // A listener whose handle is closed without unlinking: what a killed process leaves.
  const { spawnSync } = await import('node:child_process');
  spawnSync(process.execPath, [
    '-e',
    `require('node:net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  assert.ok(statSync(stale).isSocket());
  open.push(await OperatorServer.listen({ path: stale }, () => 'fresh'));
  assert.equal(await operatorRequest(stale, 1), 'fresh');
});

test('metrics and health on loopback only, GET only', async () => {
  let problem: string | undefined;
  const server = await MetricsServer.listen(
    { ip: '127.0.0.1', port: 0 },
    { metrics: () => 'voip_sgw_calls 3\n', problem: () => problem },
  );
  open.push(server);
  const url = `http://127.0.0.1:${server.address.port}`;
  const metrics = await fetch(`${url}/metrics`);
  assert.equal(await metrics.text(), 'voip_sgw_calls 3\n');
  assert.match(metrics.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
  problem = 'tunnel down';
  const sick = await fetch(`${url}/healthz`);
  assert.equal(sick.status, 503);
  assert.equal(await sick.text(), 'tunnel down\n');
  assert.equal((await fetch(`${url}/`)).status, 404);
  assert.equal((await fetch(`${url}/metrics`, { method: 'POST' })).status, 405);
  await assert.rejects(
    MetricsServer.listen({ ip: '0.0.0.0', port: 0 }, { metrics: () => '', problem: () => undefined }),
    /loopback/,
  );
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as { port: number };
  await assert.rejects(
    MetricsServer.listen({ ip: '127.0.0.1', port }, { metrics: () => '', problem: () => undefined }),
    /EADDRINUSE/,
  );
  taken.close();
});

test('the metrics port serves who comes last: slow readers and the silent are cut off, the oldest first', async () => {
  const text = 'x'.repeat(8_000_000);
  const server = await MetricsServer.listen(
    { ip: '127.0.0.1', port: 0 },
    { metrics: () => text, problem: () => undefined },
    500,
  );
  open.push(server);
  const { port } = server.address;
  const hold = (request: string): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(request, () => resolve()));
      socket.on('error', () => undefined);
      if (request.startsWith('GET /metrics')) socket.pause();
      else socket.resume();
    });
  for (let i = 0; i < 40; i++)
    await hold(i % 2 === 0 ? 'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n' : 'GET /met');
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/healthz`)).text(), 'ok\n');
  const until = Date.now() + 20_000;
  while (server.connections > 1 && Date.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(server.connections <= 1, `${server.connections} are still held`); // fetch keeps its own for a while
});
