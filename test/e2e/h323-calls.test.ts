import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { DEMO_IP } from '../../tools/demo-config.ts';
import { H323Agent } from '../../tools/h323-agent.ts';
import type { Behaviour } from '../../tools/sip-agent.ts';
import { eventually, type Name, Pair, PBX_SOUND, PHONE_SOUND, SoundingCall, sleep } from './pair.ts';
import { h245Ports } from './port-window.ts';

const OUTSIDE_IP = '::1';

interface Ports {
  readonly gw2: number;
  readonly gw1: number;
  readonly phone: number;
  readonly pbx: number;
}

function freePort(ip: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, ip, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Both own sides speak H.323: outside over IPv6 with slow start and H.245 apart, inside over IPv4 with FastStart, tunnelled. */
function h323(name: Name, text: string, ports: Ports, rtp: number): string {
  const outside = name === 'gw2';
  const ip = outside ? `[${OUTSIDE_IP}]` : DEMO_IP;
  const [own, peer] = outside ? [ports.gw2, ports.phone] : [ports.gw1, ports.pbx];
  const how = outside ? 'h323: { fastStart: false, tunnelling: false }' : 'trusted: true';
  return text
    .replace(
      /^sip:\n.*\npeers:\n.*$/m,
      [
        'h323:',
        `  listeners: [{ name: cs, transport: tcp, address: "${ip}:${own}" }]`,
        `  h245Ports: [${h245Ports(rtp).join(', ')}]`,
        'peers:',
        `  - { name: ${outside ? 'internet' : 'pbx'}, protocol: h323, host: "${outside ? OUTSIDE_IP : ip}", port: ${peer}, ${how} }`,
      ].join('\n'),
    )
    .replace(/pools: \[\{ ip: "[^"]*"/, `pools: [{ ip: "${outside ? OUTSIDE_IP : DEMO_IP}"`);
}

const plan =
  (sound: Int16Array) =>
  (number: string): Behaviour =>
    number.endsWith('601')
      ? { kind: 'play', sound }
      : { kind: 'reject', status: number.endsWith('603') ? 486 : 404 };

test('H.323 on both sides of two real gateways, IPv6 and IPv4: sound both ways, refusals, ladder', {
  timeout: 120_000,
}, async (t) => {
  const ports: Ports = {
    gw2: await freePort(OUTSIDE_IP),
    gw1: await freePort(DEMO_IP),
    phone: await freePort(OUTSIDE_IP),
    pbx: await freePort(DEMO_IP),
  };
  const pair = await Pair.start({ edit: (name, text, { gw2Rtp }) => h323(name, text, ports, gw2Rtp) });
  t.after(() => pair.stop());
  const phone = await H323Agent.start({
    name: '4930901820',
    ip: OUTSIDE_IP,
    port: ports.phone,
    peer: { ip: OUTSIDE_IP, port: ports.gw2 },
    dialPlan: plan(PHONE_SOUND),
    fastStart: false,
    tunnelling: false,
  });
  t.after(() => phone.stop());
  const pbx = await H323Agent.start({
    name: '200',
    ip: DEMO_IP,
    port: ports.pbx,
    peer: { ip: DEMO_IP, port: ports.gw1 },
    dialPlan: plan(PBX_SOUND),
  });
  t.after(() => pbx.stop());
  for (const [from, to, number] of [
    [phone, pbx, '601'],
    [pbx, phone, '0301601'],
  ] as const) {
    const here = await from.call(number, from === phone ? PHONE_SOUND : PBX_SOUND);
    assert.equal(here.state, 'connected', `cause ${here.endStatus}: ${pair.gw2.log}${pair.gw1.log}`);
    const there = to.taken.at(-1)!;
    const call = new SoundingCall(from === phone ? here : there, from === phone ? there : here, () =>
      from.hangUp(here),
    );
    const match = await call.matchNow(15_000);
    assert.ok(match > 0.8, `sound ${number}: ${match}`);
    const [view] = await pair.calls('gw1');
    for (const [name, words] of [
      ['gw2', ['Setup', 'Connect', 'H.245 openLogicalChannel', 'setup', 'connect answer']],
      ['gw1', ['Setup fastStart', 'Connect fastStart']],
    ] as const) {
      const ladder = await pair.cli(name, 'trace', view!.call);
      for (const word of words) assert.ok(ladder.includes(word), `${word} in\n${ladder}`);
    }
    await call.hangUp();
    // A record waits for the last counters of its media; the refused call below has none to wait for.
    const wanted = from === phone ? 1 : 2;
    for (const name of ['gw2', 'gw1'] as const) {
      await eventually(
        async () => pair.records(name).length === wanted,
        5000,
        () => `${name} has no record`,
      );
    }
  }
  const busy = await phone.call('603');
  assert.equal(busy.endStatus, 17);
  await sleep(700);
  for (const name of ['gw2', 'gw1'] as const) {
    assert.deepEqual(
      pair.records(name).map((r) => r['cause']),
      [16, 16, 17],
    );
    assert.deepEqual(await pair.calls(name), []);
  }
});
