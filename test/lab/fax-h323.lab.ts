/** A page of fax between an Asterisk that speaks SIP and one that speaks H.323 (chan_ooh323), over T.38 on both sides. */
import assert from 'node:assert/strict';
import { sendPage } from './fax-pages.ts';
import { h323Change, numberOf, originate } from './h323-plan.ts';
import { labTest, useLab } from './lab.ts';
import { Pair } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import { host } from './topology.ts';

let pair: Pair;
let pbx: Asterisk;
let internet: Asterisk;
const holder = useLab('fax-h323', async (lab) => {
  const common = { t38: true, codecs: 'ulaw' };
  const inner = { peer: host.gw1.v4, trace: 5 };
  pbx = await lab.asterisk({ ...common, place: 'intranet', name: 'pbx', ip: host.pbx.v4, trunk: `${host.gw1.v4}:5060`, h323: inner }); // biome-ignore format: one call
  internet = await lab.asterisk({ ...common, place: 'internet', name: 'internet', ip: host.callee.v4, trunk: `${host.gw2.v4}:5060`, h323: { peer: host.gw2.v4 } }); // biome-ignore format: one call
  pair = await Pair.start(lab, { change: h323Change });
});

for (const [what, caller, callee] of [
  ['SIP to H.323', 'sip', 'fast-tunnel'],
  ['H.323 to SIP', 'fast-tunnel', 'sip'],
] as const) {
  labTest(
    holder,
    `a page from the Internet to the PBX, ${what}, over T.38`,
    async () => {
      const path = { direction: 'inward', caller, callee, codec: 'ulaw' } as const;
      assert.equal(numberOf(path, '620').slice(2), '620');
      const mode = await sendPage(internet, pbx, 4, () => originate(internet, path, '620', 'sendfax'));
      await pair.idle(6000);
      assert.equal(mode, 'T38');
    },
    { seconds: 120 },
  );
}
