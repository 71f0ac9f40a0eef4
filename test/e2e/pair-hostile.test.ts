import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, HAS_PROC, Pair, sleep } from './pair.ts';

const MAX_CALLS = 12;
const MAX_BYTES_PER_SECOND = 100_000;

/** The attacker's process: has GW2's certificate and ports. */
class HostileGateway {
  readonly #child: ChildProcess;
  readonly events: string[] = [];

  constructor(pair: Pair) {
    const script = fileURLToPath(new URL('./hostile-gw2.js', import.meta.url));
    const { signalling, media } = pair.ports;
    this.#child = fork(script, [pair.folder, String(signalling), String(media)], { stdio: 'inherit' });
    this.#child.on('message', (m: { event: string }) => this.events.push(m.event));
  }

  async saw(event: string, ms = 15_000): Promise<void> {
    await eventually(
      () => Promise.resolve(this.events.includes(event)),
      ms,
      () => `no ${event}`,
    );
  }

  attack(what: string): void {
    this.#child.send({ do: what });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** Somebody of the intranet who is on no list; hears when he is contacted. */
async function bystander(): Promise<{ socket: Socket; heard: () => number }> {
  const socket = createSocket('udp4');
  let heard = 0;
  socket.on('message', () => heard++);
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { socket, heard: () => heard };
}

function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

test('a real GW1 against a hostile GW2: keeps its limits and its memory, refuses with reasons, and serves the honest one after', {
  timeout: 180_000,
}, async (t) => {
  const pair = await Pair.start({
    without: 'gw2',
    edit: (name, text) =>
      name === 'gw2'
        ? text
        : text
            .replace(/maxCalls: \d+/, `maxCalls: ${MAX_CALLS}`)
            .replace(
              /maxCallsPerSecond: \d+/,
              `maxCallsPerSecond: 5\n  maxMediaBytesPerSecond: ${MAX_BYTES_PER_SECOND}`,
            ),
  });
  const aside = await bystander();
  const hostile = new HostileGateway(pair);
  t.after(async () => {
    aside.socket.close();
    await hostile.stop();
    await pair.stop();
  });
  await hostile.saw('lane');
  const memory = (): number =>
    HAS_PROC ? [pair.gw1.pid, ...pair.gw1.workers()].reduce((n, pid) => n + residentMb(pid), 0) : 0;
  const before = memory();

  hostile.attack('setups');
  await sleep(3000);
  assert.ok((await pair.calls('gw1')).length <= MAX_CALLS);
  assert.ok(pair.pbx.taken.length <= MAX_CALLS, `${pair.pbx.taken.length} calls at the PBX`);
  assert.ok((await pair.counted('gw1', 'callsRefused', 'gateway-calls')) > 20);

  hostile.attack('media');
  await sleep(2500);
  const received = pair.pbx.taken.reduce((n, c) => n + c.statistics().received + c.statistics().odd, 0);
  assert.ok(received > 0, 'the attack is one: some of it looks like sound');
  assert.ok(received * 172 < 5 * MAX_BYTES_PER_SECOND, `${received} packets at the PBX in 2.5 s`);
  const streams = (await pair.calls('gw1')).flatMap((c) => c.streams);
  const refusedFrames = streams.flatMap((s) => s.refused).reduce((a, b) => a + b, 0);
  assert.ok(refusedFrames > 100, `${refusedFrames} frames refused with a reason`);

  for (const what of ['payloads', 'frames', 'garbage']) {
    hostile.attack(what);
    await sleep(1500);
    pair.gw1.ensureAlive();
    hostile.attack('quiet');
    await sleep(300);
  }
  const status = await pair.status('gw1');
  const refused = Object.values(status.counters['metaRefused'] ?? {}).reduce((a, b) => a + b, 0);
  assert.ok(refused > 100, `${refused} messages refused with a reason`);
  if (HAS_PROC) assert.ok(memory() < before + 150, `memory grew from ${before} to ${memory()} MB`);
  assert.equal(aside.heard(), 0);
  assert.ok(pair.gw1.log.length < 200_000, `${pair.gw1.log.length} octets of log`);

  await hostile.stop();
  pair.spawn('gw2');
  await pair.tunnelUp(40_000);
  await eventually(
    async () => (await pair.calls('gw1')).length === 0,
    35_000,
    () => 'calls of the attacker are left',
  );
  const call = await pair.call();
  const match = await call.matchNow(10_000);
  assert.ok(match > 0.6, String(match));
  await call.hangUp();
});
