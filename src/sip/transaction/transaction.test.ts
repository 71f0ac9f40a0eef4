/** The four transaction machines against RFC 3261 17 and RFC 6026 7, timers by table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InviteClient } from './invite-client.ts';
import { InviteServer } from './invite-server.ts';
import { NonInviteClient } from './non-invite-client.ts';
import { NonInviteServer } from './non-invite-server.ts';
import { alarmOf } from './timing.ts';

interface Timed {
  timeout(now: number): readonly string[];
  deadline(): number | undefined;
}

/** Runs the timers alone until none is left: what happened when. */
function timeline(machine: Timed): string[] {
  const out: string[] = [];
  for (let at = machine.deadline(); at !== undefined; at = machine.deadline()) {
    out.push(...machine.timeout(at).map((action) => `${at} ${action}`));
  }
  return out;
}

test('timers A and B: INVITE at 0, 0.5, 1.5, 3.5 ... 31.5 s over UDP, given up at 32 s (17.1.1.2)', () => {
  const client = new InviteClient(false);
  assert.deepEqual(client.start(0), ['send']);
  assert.deepEqual(timeline(client), [
    '500 send',
    '1500 send',
    '3500 send',
    '7500 send',
    '15500 send',
    '31500 send',
    '32000 timed-out',
    '32000 terminated',
  ]);
});

test('over a reliable transport an INVITE is sent once, timer B still runs (17.1.1.2)', () => {
  const client = new InviteClient(true);
  client.start(0);
  assert.deepEqual(timeline(client), ['32000 timed-out', '32000 terminated']);
});

test('timers E and F: requests at 0, 0.5, 1.5, 3.5, 7.5, 11.5 ... s over UDP (17.1.2.2)', () => {
  const client = new NonInviteClient(false);
  client.start(0);
  assert.deepEqual(
    timeline(client).map((line) => line.replace(' send', '')),
    [
      '500',
      '1500',
      '3500',
      '7500',
      '11500',
      '15500',
      '19500',
      '23500',
      '27500',
      '31500',
      '32000 timed-out',
      '32000 terminated',
    ],
  );
});

test('after a provisional response timer E is T2 (17.1.2.2), and an INVITE is not repeated (17.1.1.2)', () => {
  const options = new NonInviteClient(false);
  options.start(0);
  assert.deepEqual(options.response(100, 100), ['pass']);
  assert.equal(options.deadline(), 500);
  assert.deepEqual(options.timeout(500), ['send']);
  assert.equal(options.deadline(), 4500);
  const invite = new InviteClient(false);
  invite.start(0);
  assert.deepEqual(invite.response(180, 100), ['pass']);
  assert.equal(invite.deadline(), undefined);
});

test('timers D and K: a failed INVITE rests 32 s, others 5 s; none over reliable transports', () => {
  const rest = (machine: InviteClient | NonInviteClient, status: number): string[] => {
    machine.start(0);
    return [...machine.response(status, 1000), ...timeline(machine)];
  };
  assert.deepEqual(rest(new InviteClient(false), 486), ['ack', 'pass', '33000 terminated']);
  assert.deepEqual(rest(new InviteClient(true), 486), ['ack', 'pass', 'terminated']);
  assert.deepEqual(rest(new NonInviteClient(false), 200), ['pass', '6000 terminated']);
  assert.deepEqual(rest(new NonInviteClient(true), 200), ['pass', 'terminated']);
});

test('a repeated failure of an INVITE is acknowledged again and not passed up (17.1.1.2)', () => {
  const client = new InviteClient(false);
  client.start(0);
  client.response(486, 10);
  assert.deepEqual(client.response(486, 20), ['ack']);
  assert.deepEqual(client.response(200, 20), []);
});

test('Accepted client state: every 2xx is passed for 64*T1, nothing else (RFC 6026 7.2)', () => {
  const client = new InviteClient(false);
  client.start(0);
  assert.deepEqual(client.response(200, 100), ['pass']);
  assert.deepEqual(client.response(200, 600), ['pass']);
  assert.deepEqual(client.response(486, 700), []);
  assert.deepEqual(client.response(180, 700), []);
  assert.deepEqual(timeline(client), ['32100 terminated']);
});

test('100 goes where nobody has answered an INVITE for 200 ms, or when it comes again before; else never (17.2.1)', () => {
  assert.deepEqual(timeline(new InviteServer(false, 1000)), ['1200 trying']);
  const repeated = new InviteServer(false, 0);
  assert.deepEqual(repeated.repeated(), ['trying']);
  assert.deepEqual(repeated.repeated(), ['send']);
  assert.equal(repeated.deadline(), undefined);
  for (const status of [180, 200, 486]) {
    const answered = new InviteServer(false, 0);
    answered.respond(status, 199);
    assert.ok(!timeline(answered).some((line) => line.endsWith('trying')));
  }
});

test('what only absorbs repetitions ends at the next half second; what is sent is sent on time', () => {
  const server = new InviteServer(false, 0);
  assert.equal(alarmOf(server), 200, '100');
  server.respond(486, 10);
  assert.equal(alarmOf(server), 510, 'timer G');
  server.acknowledged(77);
  assert.equal(alarmOf(server), 5500, 'timer I');
  const client = new InviteClient(false);
  client.start(33);
  assert.equal(alarmOf(client), 533, 'timer A');
  client.response(200, 501);
  assert.equal(alarmOf(client), 33_000, 'timer M');
});

test('timers G and H: a failure goes at T1 doubling to T2 until the ACK, at most 32 s (17.2.1)', () => {
  const server = new InviteServer(false, 0);
  assert.deepEqual(server.respond(100, 0), ['send']);
  assert.deepEqual(server.respond(486, 0), ['send']);
  const times = timeline(server);
  assert.deepEqual(times.slice(0, 5), ['500 send', '1500 send', '3500 send', '7500 send', '11500 send']);
  assert.deepEqual(times.slice(-2), ['32000 timed-out', '32000 terminated']);
});

test('timer I: after the ACK the server absorbs ACKs for T4, then ends (17.2.1)', () => {
  const server = new InviteServer(false, 0);
  server.respond(486, 0);
  assert.deepEqual(server.acknowledged(700), []);
  assert.equal(server.state, 'confirmed');
  assert.deepEqual(server.repeated(), []);
  assert.deepEqual(timeline(server), ['5700 terminated']);
  const reliable = new InviteServer(true, 0);
  reliable.respond(486, 0);
  assert.deepEqual(reliable.acknowledged(700), ['terminated']);
});

test('Accepted server state: INVITEs are absorbed, 2xx may be sent again for 64*T1 (RFC 6026 7.1)', () => {
  const server = new InviteServer(false, 0);
  server.respond(200, 0);
  assert.deepEqual(server.repeated(), []);
  assert.deepEqual(server.respond(200, 500), ['send']);
  assert.deepEqual(server.respond(486, 500), []);
  assert.deepEqual(timeline(server), ['32000 terminated']);
});

test('timer J: a non-INVITE answer is repeated for 64*T1 over UDP (17.2.2)', () => {
  const server = new NonInviteServer(false);
  assert.deepEqual(server.repeated(), [], 'dropped while trying');
  assert.deepEqual(server.respond(200, 0), ['send']);
  assert.deepEqual(server.respond(500, 1), [], 'one final response');
  assert.deepEqual(server.repeated(), ['send']);
  assert.deepEqual(timeline(server), ['32000 terminated']);
  assert.deepEqual(new NonInviteServer(true).respond(200, 0), ['send', 'terminated']);
});

test('a lost transport is told to a waiting user once, and never after a final response', () => {
  for (const client of [new InviteClient(true), new NonInviteClient(true)]) {
    client.start(0);
    assert.deepEqual(client.transportFailed(), ['transport-failed', 'terminated']);
    assert.deepEqual(client.transportFailed(), []);
  }
  const accepted = new InviteClient(true);
  accepted.start(0);
  accepted.response(200, 1);
  assert.deepEqual(accepted.transportFailed(), ['terminated']);
});

test('whatever comes, a machine ends: terminated exactly once, then silence (every state and input)', () => {
  const input = fc.oneof(
    fc.record({ kind: fc.constant('response' as const), status: fc.integer({ min: 100, max: 699 }) }),
    fc.constantFrom(
      { kind: 'timer' as const },
      { kind: 'repeat' as const },
      { kind: 'ack' as const },
      { kind: 'lost' as const },
    ),
  );
  fc.assert(
    fc.property(
      fc.constantFrom('ic', 'nc', 'is', 'ns'),
      fc.boolean(),
      fc.array(input, { maxLength: 30 }),
      (which, reliable, inputs) => {
        const client = which === 'ic' ? new InviteClient(reliable) : new NonInviteClient(reliable);
        const server = which === 'is' ? new InviteServer(reliable, 0) : new NonInviteServer(reliable);
        const isClient = which === 'ic' || which === 'nc';
        const machine = isClient ? client : server;
        let now = 0;
        const seen: string[] = [];
        if (isClient) seen.push(...client.start(now));
        for (const step of inputs) {
          const over = machine.state === 'terminated';
          if (step.kind === 'timer') now = Math.max(now, machine.deadline() ?? now);
          const actions: readonly string[] =
            step.kind === 'response'
              ? isClient
                ? client.response(step.status, now)
                : server.respond(step.status, now)
              : step.kind === 'timer'
                ? machine.timeout(now)
                : step.kind === 'lost'
                  ? machine.transportFailed()
                  : isClient
                    ? []
                    : step.kind === 'repeat' || !(server instanceof InviteServer)
                      ? server.repeated()
                      : server.acknowledged(now);
          if (over) assert.deepEqual(actions, []);
          seen.push(...actions);
        }
        // An end for every machine that was answered or waits for an answer.
        if (isClient && client.state === 'proceeding') seen.push(...client.response(486, now));
        if (!isClient) seen.push(...server.respond(603, now));
        for (let at = machine.deadline(); at !== undefined; at = machine.deadline()) {
          seen.push(...machine.timeout(at));
        }
        assert.equal(machine.state, 'terminated');
        assert.equal(seen.filter((action) => action === 'terminated').length, 1);
        assert.equal(seen.at(-1), 'terminated');
      },
    ),
  );
});
