import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import type { PlaneCommand, StreamLegConfig } from '../media/plane-contract.ts';
import { WaitingCommands } from './waiting-commands.ts';

const SESSION = 'a'.repeat(32);

function leg(stream: number, remotePort?: number): StreamLegConfig {
  return {
    session: SESSION,
    stream,
    call: 'b'.repeat(32),
    kind: 'audio',
    priority: 'normal',
    local: { ip: '192.0.2.1', port: 16384 + 2 * stream },
    rtcpMux: false,
    source: 'signalled',
    latchWindowMs: 5000,
    direction: 'sendrecv',
    formats: [],
    cname: 'c',
    ...(remotePort === undefined ? {} : { remote: { ip: '198.51.100.1', port: remotePort } }),
  };
}

const open = (stream: number, remotePort?: number): PlaneCommand => ({
  kind: 'open',
  leg: leg(stream, remotePort),
});
const modify = (stream: number, remotePort: number): PlaneCommand => ({
  kind: 'modify',
  leg: leg(stream, remotePort),
  relearn: false,
});
const close = (stream: number): PlaneCommand => ({ kind: 'close', session: SESSION, stream });

let posted: (readonly PlaneCommand[])[] = [];
let queue: WaitingCommands;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  posted = [];
  queue = new WaitingCommands((commands) => posted.push(commands));
});

test('a stream with a far end is opened at once', () => {
  queue.add(open(1, 4000));
  assert.deepEqual(posted, [[open(1, 4000)]]);
});

test('a stream that nobody has answered waits 3 ms at most', () => {
  queue.add(open(1));
  assert.deepEqual(posted, []);
  mock.timers.tick(3);
  assert.deepEqual(posted, [[open(1)]]);
});

test('an answer that comes meanwhile: the stream is opened once, as agreed', () => {
  queue.add(open(1));
  queue.add(open(2));
  queue.add(modify(1, 4000));
  assert.deepEqual(posted, [[open(1, 4000), open(2)]]);
  mock.timers.tick(100);
  assert.equal(posted.length, 1, 'nothing is left to say');
  queue.add(modify(2, 4002));
  assert.deepEqual(posted[1], [modify(2, 4002)], 'what was posted is modified');
});

test('closes wait 20 ms at most, 3 ms where an open waits with them; order is kept', () => {
  queue.add(close(1));
  mock.timers.tick(10);
  queue.add(close(2));
  mock.timers.tick(9);
  assert.deepEqual(posted, []);
  mock.timers.tick(1);
  assert.deepEqual(posted, [[close(1), close(2)]]);
  queue.add(close(3));
  queue.add(open(4));
  mock.timers.tick(3);
  assert.deepEqual(posted[1], [close(3), open(4)]);
});

test('a stream closed while it waits is opened and closed, so that its last counters come', () => {
  queue.add(open(1));
  queue.add(close(1));
  queue.add(modify(1, 4000));
  assert.deepEqual(posted, [[open(1), close(1), modify(1, 4000)]]);
});

test('what cannot wait takes along what waits, in order', () => {
  queue.add(close(1));
  queue.add(open(2));
  queue.add({ kind: 'drain' });
  assert.deepEqual(posted, [[close(1), open(2), { kind: 'drain' }]]);
  queue.add(close(3));
  queue.flush();
  queue.flush();
  assert.deepEqual(posted[1], [close(3)]);
  assert.equal(posted.length, 2);
});

test('cleared: the worker is gone, its successor is told everything otherwise', () => {
  queue.add(open(1));
  queue.add(close(2));
  queue.clear();
  mock.timers.tick(100);
  assert.deepEqual(posted, []);
});
