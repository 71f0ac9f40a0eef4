/** Pages of fax by T.38 through both gateways, between two Asterisks with spandsp: sent, received and compared dot by dot. */
import assert from 'node:assert/strict';
import type { CallRecord } from '../../src/call/record.ts';
import { sendPage } from './fax-pages.ts';
import { labTest, useLab } from './lab.ts';
import { inward, outward, Pair, type Role } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import { hostPort } from './peers/sipp.ts';
import { until } from './run.ts';
import { host } from './topology.ts';

let pair: Pair;
let inside: Asterisk;
let outside: Asterisk;
const holder = useLab('fax', async (lab) => {
  inside = await lab.pbx('v4', { t38: true });
  outside = await lab.asterisk({
    place: 'internet',
    name: 'internet',
    ip: host.callee.v4,
    trunk: hostPort(host.gw2.v4, 5060),
    t38: true,
  });
  pair = await Pair.start(lab, {
    change: (role, config) => {
      const peers = config['peers'] as { readonly name: string }[];
      const faxless = peers.map((p) => (p.name === 'callee-tcp' ? { ...p, fax: false } : p));
      return role === 'relay' ? config : { ...config, peers: faxless };
    },
  });
});

/** Packets of half a second of speech, at each end of the fax: a machine may stand still for as long. */
const CROSSING = 2 * 25;

const read = { termination: 0, relay: 0 };

/** What earlier tests, or an attempt that failed, have left is not read. */
function skipRecords(): void {
  for (const role of ['termination', 'relay'] as const) read[role] = pair.records(role).length;
}

/** The next record of a call, one per call. */
async function newRecord(role: Role): Promise<CallRecord> {
  const record = await until('the record', 10_000, () => pair.records(role)[read[role]]);
  read[role]++;
  return record;
}

/** The last call's records: both gateways carried a fax, and neither refused or lost anything of it. */
async function assertRecorded(): Promise<void> {
  for (const role of ['termination', 'relay'] as const) {
    const [stream] = (await newRecord(role)).streams;
    const what = JSON.stringify(stream);
    assert.match(stream!.codec, /^PCM[AU]\+T38$/, what);
    // What is on its way while the stream changes is of what it is no more: frames of the tunnel, and speech from the port it came from.
    const { 'frame-format': crossed = 0, source = 0, ...refused } = stream!.refused;
    assert.deepEqual(refused, {}, what);
    assert.ok(crossed + source <= CROSSING, what);
    const lost = stream!.quality.sent.parts.find((part) => part.part === 'tunnel')!.lost;
    assert.ok(lost <= 3, what);
  }
}

for (const [way, page] of [
  [
    'from the Internet to the PBX',
    () => sendPage(outside, inside, 1, () => outside.call(`${inward.pbx4}620`, 'sendfax')),
  ],
  [
    'from the PBX to the Internet',
    () => sendPage(inside, outside, 2, () => inside.call(outward.callee, 'sendfax')),
  ],
] as const) {
  labTest(
    holder,
    `a page ${way} over T.38, dot by dot`,
    async () => {
      skipRecords();
      assert.equal(await page(), 'T38');
      await pair.idle();
      await assertRecorded();
    },
    { seconds: 120 },
  );
}

// Both sides of the page ask for T.38 and are refused, the called one in the peer that has the same host as another.
labTest(
  holder,
  'a peer with `fax: false`: the T.38 of the PBX and of the called side is refused, and the page arrives as sound',
  async () => {
    skipRecords();
    const refusals = (pbx: Asterisk): number => pbx.log('full').split('refused to negotiate T.38').length - 1;
    const before = [refusals(inside), refusals(outside)];
    const send = () => sendPage(inside, outside, 3, () => inside.call(outward.calleeTcp, 'sendfax'));
    // Modems in software hear every millisecond that the machine stands still: they dial again, once, as fax machines do.
    const mode = await send().catch(async (error: unknown) => {
      if (!String(error).includes('receiver: audio FAILED')) throw error;
      console.log(`the page is sent a second time: ${String(error).split('\n', 1)[0]}`);
      await pair.idle();
      return send();
    });
    assert.equal(mode, 'audio');
    assert.ok(refusals(inside) > before[0]! && refusals(outside) > before[1]!);
    await pair.idle();
    for (const role of ['termination', 'relay'] as const)
      assert.match((await newRecord(role)).streams[0]!.codec, /^PCM[AU]$/);
  },
  { seconds: 150 },
);
