/** A media worker that lives and does nothing any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlaneEvent } from '../media/plane-contract.ts';
import { createAuthority, issueCertificate } from '../store/pki.ts';
import { LEG } from './fixtures.test.ts';
import { PlaneSupervisor } from './supervisor.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('a worker with streams that says nothing for long is ended and has a successor; one whose streams rest is not', async (t) => {
  const authority = await createAuthority('test');
  const { certificate, key } = await issueCertificate(authority, { use: 'relay', dnsNames: ['gw1.example'] });
  const plane = new PlaneSupervisor();
  const events: PlaneEvent[] = [];
  plane.onEvent = (_shard, event) => events.push(event);
  t.after(() => plane.stop());
  const seen = async (kind: PlaneEvent['kind'], count: number, ms = 60_000): Promise<void> => {
    const end = Date.now() + ms;
    while (events.filter((e) => e.kind === kind).length < count) {
      assert.ok(Date.now() < end, `waited in vain for ${kind}: ${events.map((e) => e.kind)}`);
      await pause(20);
    }
  };
  await plane.start({
    workers: 1,
    implementation: 'auto',
    tls: { certificate, key, ca: authority.certificate },
    hungSeconds: 4,
  });
  const limits = { maxLanes: 2, maxStreams: 4, maxBytesPerSecond: 1e6 };
  plane.command(0, { kind: 'report', every: 1000 });
  plane.command(0, { kind: 'session', session: 's', key: '00'.repeat(32), peerName: 'p.example', limits });
  plane.command(0, { kind: 'open', leg: { ...LEG, session: 's', local: { ip: '127.0.0.1', port: 9790 } } });
  await seen('opened', 1);
  const [first] = plane.pids();
  await pause(7000); // on hold, or ringing: nothing moves
  assert.deepEqual(plane.pids(), [first]);
  assert.ok(!events.some((e) => e.kind === 'shard-lost'));
  process.kill(first!, 'SIGSTOP');
  await seen('shard-lost', 1);
  await seen('shard-ready', 1);
  await seen('opened', 2);
  assert.notDeepEqual(plane.pids(), [first]);
});
