/** OPTIONS probes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDLE } from './test-network.test.ts';
import { PEER, respond, stage } from './test-peer.test.ts';

test('OPTIONS probes: up with the first answer, down after two without, up again', () => {
  const { net, gw, raw } = stage({ peers: [{ name: 'raw', host: PEER, probeEveryMs: 10_000 }] });
  let alive = true;
  raw.on = (text): void => {
    if (alive && text.startsWith('OPTIONS')) net.send(raw, gw, respond(text, 405, 't'));
  };
  net.run(5000);
  assert.equal(gw.seen('peer-up').length, 1);
  alive = false;
  net.run(16_000);
  assert.equal(gw.seen('peer-down').length, 0, 'one failure is none');
  net.run(20_000);
  assert.equal(gw.seen('peer-down').length, 1);
  alive = true;
  net.run(30_000);
  assert.equal(gw.seen('peer-up').length, 2);
  gw.command({ kind: 'configure', peers: [], listeners: gw.listeners });
  net.run();
  assert.equal(gw.seen('peer-unprobed').length, 1, 'what the probes told counts no more');
  assert.deepEqual(gw.endpoint.sizes, IDLE);
});
