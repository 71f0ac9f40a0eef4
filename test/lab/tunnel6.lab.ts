/** The tunnel over IPv6, plain sockets instead of koffi, two workers: the corners that the other suites leave out. */
import assert from 'node:assert/strict';
import { Capture } from './capture.ts';
import { proveFirewall } from './firewall-proof.ts';
import { assertHeard } from './hearing.ts';
import { labTest, useLab } from './lab.ts';
import { inward, Pair } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import { hostPort } from './peers/sipp.ts';
import { host } from './topology.ts';

const SECONDS = 5;

let pair: Pair;
let pbx: Asterisk;
let capture: Capture;
const holder = useLab('tunnel6', async (lab) => {
  pbx = await lab.pbx('v6');
  capture = await Capture.start('firewallIntranet', lab.place('captures'));
  pair = await Pair.start(lab, { tunnel: 'v6', implementation: 'dgram', workers: 2 });
});

labTest(
  holder,
  'a phone over IPv4 calls a PBX over IPv6 through a tunnel over IPv6: sound both ways, only replies inward',
  async (lab) => {
    assert.deepEqual(
      (await pair.status('relay')).shards.map((s) => s.implementation),
      ['dgram', 'dgram'],
    );
    const phone = await lab.baresip({ place: 'internet', name: 'phone', ip: host.phone.v4, tone: 500 });
    await phone.call(`${inward.pbx6}608`, hostPort(host.gw2.v4, 5060));
    await pair.spoken(SECONDS);
    await phone.hangup();
    await pair.idle();
    await capture.stop();
    assertHeard('phone', { file: phone.recording(), frequency: 440, seconds: SECONDS * 0.8 });
    assertHeard('PBX', { file: pbx.recordings().at(-1)!, frequency: 500, seconds: SECONDS * 0.8 });
    const proof = proveFirewall(capture.packets(), 'v6');
    assert.deepEqual(proof.faults, []);
    assert.ok(proof.inward > 100, `${proof.inward} packets inward`);
  },
);
