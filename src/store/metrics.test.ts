import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayMetrics } from './metrics.ts';

describe('metrics', () => {
  const make = (): GatewayMetrics =>
    new GatewayMetrics({ name: 'gw1', role: 'relay' }, ['version', 'source']);
  const ID = 'gateway="gw1",role="relay"';

  test('count the families of the gateway contract under their label', async () => {
    const metrics = make();
    metrics.count('callsRefused', 'no-route');
    metrics.count('callsRefused', 'no-route', 2);
    metrics.count('releases', '16');
    const { body, contentType } = await metrics.render();
    assert.match(contentType, /^text\/plain/);
    assert.ok(body.includes(`voip_sgw_calls_refused_total{reason="no-route",${ID}} 3`), body);
    assert.ok(body.includes(`voip_sgw_releases_total{cause="16",${ID}} 1`));
  });

  test('hold at most 200 label values a family, the rest is "other"', async () => {
    const metrics = make();
    for (let i = 0; i < 300; i++) metrics.count('sipRefused', `reason-${i}`);
    const { body } = await metrics.render();
    assert.equal(body.match(/^voip_sgw_sip_refused_total\{/gm)?.length, 201);
    assert.ok(body.includes(`voip_sgw_sip_refused_total{reason="other",${ID}} 100`));
  });

  test('tell SIP messages by method or status class, unknown methods as "other"', async () => {
    const metrics = make();
    metrics.sipMessage('in', 'INVITE sip:1@x SIP/2.0');
    metrics.sipMessage('in', 'FROBNICATE sip:1@x SIP/2.0');
    metrics.sipMessage('out', 'SIP/2.0 486 Busy Here');
    metrics.sipMessage('out', '180 Ringing (1 INVITE)');
    const { body } = await metrics.render();
    assert.ok(body.includes(`{direction="in",method="INVITE",status="request",${ID}} 1`));
    assert.ok(body.includes(`{direction="in",method="other",status="request",${ID}} 1`));
    assert.ok(body.includes(`{direction="out",method="response",status="4xx",${ID}} 1`));
    assert.ok(body.includes(`{direction="out",method="response",status="1xx",${ID}} 1`));
  });

  test('add what running media totals grew by, and go on after a worker began at zero', async () => {
    const metrics = make();
    const totals = { packetsIn: 100, packetsOut: 0, framesToTunnel: 0, framesFromTunnel: 0, framesLost: 0 };
    metrics.setMedia({ ...totals, refused: [0, 5] });
    metrics.setMedia({ ...totals, packetsIn: 150, refused: [0, 5] });
    metrics.setMedia({ ...totals, packetsIn: 10, refused: [0, 6] });
    const { body } = await metrics.render();
    assert.ok(body.includes(`voip_sgw_media_packets_total{direction="in",${ID}} 160`));
    assert.ok(body.includes(`voip_sgw_media_refused_packets_total{reason="source",${ID}} 6`));
  });

  test('show calls by state as they are now', async () => {
    const metrics = make();
    metrics.setCalls({ alerting: 2, connected: 1 });
    metrics.setCalls({ connected: 3 });
    const { body } = await metrics.render();
    assert.ok(body.includes(`voip_sgw_calls{state="connected",${ID}} 3`));
    assert.doesNotMatch(body, /alerting/);
  });

  test('two gateways in one process do not share counters', async () => {
    const one = make();
    one.count('calls', 'connected');
    const other = await make().render();
    assert.doesNotMatch(other.body, /result="connected"/);
  });
});
