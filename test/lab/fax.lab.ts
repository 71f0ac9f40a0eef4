/** Pages of fax by T.38 through both gateways, between two Asterisks with spandsp: sent, received and compared dot by dot. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { CallRecord } from '../../src/call/record.ts';
import { labTest, useLab } from './lab.ts';
import { inward, outward, Pair, type Role } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import { hostPort } from './peers/sipp.ts';
import { run, until } from './run.ts';
import { drawPage, type Page, readTiff, writeTiff } from './tiff.ts';
import { host } from './topology.ts';

/** A sixth of a page in fine resolution, some seconds at 14 400 bit/s. */
const LINES = 300;
const PATIENCE_MS = 90_000;

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

/** The page, compressed as faxes are, where the dialplan looks for it. */
function give(sender: Asterisk, page: Page): void {
  const plain = join(sender.folder, 'spool/plain.tif');
  writeTiff(plain, page);
  run('tiffcp', ['-c', 'g4', plain, join(sender.folder, 'spool/page.tif')]);
}

function received(receiver: Asterisk, file: string): Page {
  const plain = join(receiver.folder, 'spool/received.tif');
  run('tiffcp', ['-c', 'none', file, plain]);
  return readTiff(plain);
}

/** Sends a page and says by which way it came. */
async function fax(from: Asterisk, to: Asterisk, number: string, seed: number): Promise<string> {
  const page = drawPage(LINES, seed);
  give(from, page);
  const [sentBefore, gotBefore] = [from.faxes().length, to.faxes().length];
  const pages = to.pages().length;
  from.call(number, 'sendfax');
  await until('the fax to end at both sides', PATIENCE_MS, () => {
    return from.faxes().length > sentBefore && to.faxes().length > gotBefore;
  });
  await pair.idle();
  const [sent, got] = [from.faxes().at(-1)!, to.faxes().at(-1)!];
  const what = `sender: ${sent}; receiver: ${got}`;
  const [mode, status, count] = got.split(' ');
  assert.deepEqual([status, count, sent.split(' ')[1]], ['SUCCESS', '1', 'SUCCESS'], what);
  const arrived = received(to, to.pages()[pages]!);
  assert.equal(arrived.width, page.width, what);
  const wrong = page.rows.filter((row, y) => Buffer.compare(row, arrived.rows[y] ?? Buffer.alloc(0)) !== 0);
  assert.equal(wrong.length, 0, `${wrong.length} of ${LINES} lines differ; ${what}`);
  assert.equal(mode, sent.split(' ')[0], what);
  return mode!;
}

const read = { termination: 0, relay: 0 };

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
    // A packet on its way while the stream changes is of what it is no more.
    const { 'frame-format': crossed = 0, ...refused } = stream!.refused;
    assert.deepEqual(refused, {}, what);
    assert.ok(crossed <= 3, what);
    const lost = stream!.quality.sent.parts.find((part) => part.part === 'tunnel')!.lost;
    assert.ok(lost <= 3, what);
  }
}

labTest(
  holder,
  'a page from the Internet to the PBX over T.38, dot by dot',
  async () => {
    const mode = await fax(outside, inside, `${inward.pbx4}620`, 1);
    assert.equal(mode, 'T38');
    await assertRecorded();
  },
  { seconds: 120 },
);

labTest(
  holder,
  'a page from the PBX to the Internet over T.38, dot by dot',
  async () => {
    const mode = await fax(inside, outside, outward.callee, 2);
    assert.equal(mode, 'T38');
    await assertRecorded();
  },
  { seconds: 120 },
);

labTest(
  holder,
  'a peer with `fax: false`: the T.38 of the PBX is refused, and the call goes on as sound',
  async () => {
    give(inside, drawPage(LINES, 3));
    const refusals = (): number => inside.log('full').split('refused to negotiate T.38').length - 1;
    const before = refusals();
    inside.call(outward.calleeTcp, 'sendfax');
    await until('the PBX to be told no', PATIENCE_MS, () => refusals() > before);
    for (const role of ['termination', 'relay'] as const) {
      const [call] = await pair.calls(role);
      assert.match(call?.codecs.join() ?? '', /^PCM[AU]/, role);
    }
    inside.hangupAll();
    await pair.idle();
    assert.match((await newRecord('relay')).streams[0]!.codec, /^PCM[AU]$/);
    await newRecord('termination');
  },
  { seconds: 120 },
);
