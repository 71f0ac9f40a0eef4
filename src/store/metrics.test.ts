import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayMetrics, type MediaTotals } from './metrics.ts';

const TOTALS: MediaTotals = {
  packetsIn: 0,
  packetsOut: 0,
  framesToTunnel: 0,
  framesFromTunnel: 0,
  framesLost: 0,
  lostIn: 0,
  lateIn: 0,
  duplicatesIn: 0,
  lostOut: 0,
  tunnelLost: 0,
  framesDuplicate: 0,
  strangers: 0,
  refused: [],
};

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

  test('tell H.323 messages by protocol and name, as the ladder names them', async () => {
    const metrics = make();
    metrics.h323Message('in', 'Setup fastStart(4)');
    metrics.h323Message('out', 'ReleaseComplete cause=16');
    metrics.h323Message('in', 'H.245 openLogicalChannel');
    metrics.h323Message('in', 'H.245 (undecodable: truncated at bit 5 of x)');
    metrics.h323Message('in', '(undecodable: q931 size at octet 3)');
    metrics.h323Message('out', 'RAS admissionReject calledPartyNotRegistered');
    const { body } = await metrics.render();
    for (const labels of [
      'direction="in",protocol="h225",message="Setup"',
      'direction="out",protocol="h225",message="ReleaseComplete"',
      'direction="in",protocol="h245",message="openLogicalChannel"',
      'direction="in",protocol="h245",message="undecodable"',
      'direction="in",protocol="h225",message="undecodable"',
      'direction="out",protocol="ras",message="admissionReject"',
    ])
      assert.ok(body.includes(`voip_sgw_h323_messages_total{${labels},${ID}} 1`), labels);
  });

  test('datagrams from nobody’s far end are refused media as well, with a reason of their own', async () => {
    const metrics = make();
    metrics.setMedia({ ...TOTALS, strangers: 7 });
    metrics.setMedia({ ...TOTALS, strangers: 9 });
    const { body } = await metrics.render();
    assert.ok(body.includes(`voip_sgw_media_refused_packets_total{reason="stranger",${ID}} 9`), body);
  });

  test('tell what media workers paused for, and the socket buffers they asked for and got', async () => {
    const metrics = make();
    metrics.mediaPaused([0.4, 7]);
    metrics.setBuffers({ asked: 4096, receive: 1024, send: 4096 });
    const { body } = await metrics.render();
    assert.ok(body.includes(`voip_sgw_media_pause_seconds_bucket{le="0.005",${ID}} 1`), body);
    assert.ok(body.includes(`voip_sgw_media_pause_seconds_count{${ID}} 2`));
    for (const [labels, octets] of [
      ['direction="receive",what="granted"', 1024],
      ['direction="send",what="granted"', 4096],
      ['direction="receive",what="asked"', 4096],
    ] as const)
      assert.ok(body.includes(`voip_sgw_media_socket_buffer_bytes{${labels},${ID}} ${octets}`), labels);
  });

  test('add what running media totals grew by, and go on after a worker began at zero', async () => {
    const metrics = make();
    const totals = { ...TOTALS, packetsIn: 100 };
    metrics.setMedia({ ...totals, refused: [0, 5] });
    metrics.setMedia({ ...totals, packetsIn: 150, refused: [0, 5] });
    metrics.setMedia({ ...totals, packetsIn: 10, refused: [0, 6] });
    const { body } = await metrics.render();
    assert.ok(body.includes(`voip_sgw_media_packets_total{direction="in",${ID}} 160`));
    assert.ok(body.includes(`voip_sgw_media_refused_packets_total{reason="source",${ID}} 6`));
  });

  test('tell loss, late packets and copies by the part of the way and the direction', async () => {
    const metrics = new GatewayMetrics({ name: 'gw1', role: 'relay' }, ['version', 'frame-stale']);
    const first = {
      ...TOTALS,
      lostIn: 3,
      lateIn: 2,
      duplicatesIn: 1,
      lostOut: 4,
      tunnelLost: 9,
      framesDuplicate: 7,
    };
    metrics.setMedia({ ...first, refused: [0, 5] });
    // A report that takes loss back (late packets came after all) takes nothing from a counter.
    metrics.setMedia({ ...first, lostIn: 2, framesLost: 8, refused: [0, 5] });
    metrics.setMedia({ ...first, lostIn: 4, framesLost: 7, refused: [0, 5] });
    metrics.setMedia({ ...first, lostIn: 4, framesLost: 9, refused: [0, 5] });
    const { body } = await metrics.render();
    const has = (line: string): void => assert.ok(body.includes(line), `${line}\n${body}`);
    has(`voip_sgw_media_lost_total{part="intranet",direction="in",${ID}} 4`);
    has(`voip_sgw_media_frames_lost_total{${ID}} 9`);
    has(`voip_sgw_media_lost_total{part="intranet",direction="out",${ID}} 4`);
    has(`voip_sgw_media_lost_total{part="tunnel",direction="out",${ID}} 9`);
    has(`voip_sgw_media_late_total{part="tunnel",direction="out",${ID}} 5`);
    has(`voip_sgw_media_duplicates_total{part="intranet",direction="in",${ID}} 1`);
    has(`voip_sgw_media_duplicates_total{part="tunnel",direction="out",${ID}} 7`);
  });

  test('show scores, jitter and delay of ended streams; what is unknown is not observed', async () => {
    const metrics = make();
    const unknown = { lost: -1, late: -1, duplicates: -1, jitterMs: -1, delayMs: -1 };
    metrics.streamEnded({
      received: { ...unknown, part: 'intranet', jitterMs: 3, mos: 4.3 },
      sent: {
        mos: 3.5,
        mosReported: 0,
        worst: 'tunnel',
        parts: [
          { ...unknown, part: 'internet' },
          { ...unknown, part: 'tunnel', delayMs: 15 },
          { ...unknown, part: 'intranet', jitterMs: 9 },
        ],
      },
    });
    const { body } = await metrics.render();
    const has = (line: string): void => assert.ok(body.includes(line), `${line}\n${body}`);
    has(`voip_sgw_stream_mos_count{${ID},direction="in"} 1`);
    has(`voip_sgw_stream_mos_bucket{le="3.6",${ID},direction="out"} 1`);
    has(`voip_sgw_stream_jitter_seconds_count{${ID},part="intranet",direction="out"} 1`);
    has(`voip_sgw_stream_delay_seconds_sum{${ID},part="tunnel"} 0.015`);
    has(`voip_sgw_streams_worst_part_total{part="tunnel",${ID}} 1`);
    assert.doesNotMatch(body, /part="internet"/);
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
