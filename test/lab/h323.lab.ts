/**
 * H.323 with a peer that nobody here wrote: Asterisk's chan_ooh323 in the intranet and on the Internet side, SIP and H.323 in
 * every combination. chan_ooh323 wants a second between calls, and now and then a second attempt.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { Capture } from './capture.ts';
import { type CallPath, type Direction, h323Change, numberOf, originate } from './h323-plan.ts';
import { pairwise, Results, type Scenario, scenarioPaths, soundPaths } from './h323-table.ts';
import { assertHeard } from './hearing.ts';
import { full, labTest, useLab } from './lab.ts';
import { Pair } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import { root, run, sleep, until } from './run.ts';
import { host } from './topology.ts';

const TONES = { pbx: 440, internet: 620 } as const;
const SECONDS = 3;
const PAUSE_MS = 1000;
const SETUP_MS = 8000;

let pair: Pair;
let pbx: Asterisk;
let internet: Asterisk;
const captures: Capture[] = [];
const results = new Results();

const holder = useLab('h323', async (lab) => {
  pbx = await lab.asterisk({
    place: 'intranet',
    name: 'pbx',
    ip: host.pbx.v4,
    trunk: `${host.gw1.v4}:5060`,
    tone: TONES.pbx,
    h323: { peer: host.gw1.v4 },
  });
  internet = await lab.asterisk({
    place: 'internet',
    name: 'internet',
    ip: host.callee.v4,
    trunk: `${host.gw2.v4}:5060`,
    tone: TONES.internet,
    h323: { peer: host.gw2.v4 },
  });
  pair = await Pair.start(lab, { change: h323Change });
  captures.push(await Capture.start('internet', lab.folder), await Capture.start('intranet', lab.folder));
});

interface Ends {
  readonly from: Asterisk;
  readonly to: Asterisk;
}

function ends(direction: Direction): Ends {
  return direction === 'inward' ? { from: internet, to: pbx } : { from: pbx, to: internet };
}

/** Nothing of a call is left anywhere. */
async function nothingLeft({ from, to }: Ends): Promise<void> {
  await pair.idle(6000);
  await until('no channel at either Asterisk', 6000, () => from.channels() === 0 && to.channels() === 0);
}

/** What has been written, once it is. */
function read(text: string): string | undefined {
  return text.includes(';') ? text.trim() : undefined;
}

/** Begins a call, a second time where the peer did not take the first one, and waits until it is answered on both sides. */
async function answered(path: CallPath, extension: string, leg: string): Promise<void> {
  const { from } = ends(path.direction);
  for (const attempt of [1, 2]) {
    originate(from, path, extension, leg);
    try {
      await until('the call to be connected', SETUP_MS, async () => {
        const lists = await Promise.all([pair.calls('termination'), pair.calls('relay')]);
        return lists.every((list) => list.some((call) => call.state === 'connected'));
      });
      return;
    } catch (error) {
      if (attempt === 2) throw error;
      results.again += 1;
      from.hangupAll();
      await sleep(2 * PAUSE_MS);
    }
  }
}

function assertTone(who: string, file: string, frequency: number): void {
  assertHeard(who, { file, frequency, seconds: SECONDS * 0.7, missing: SECONDS * 0.25 });
}

async function sound(path: CallPath): Promise<void> {
  const { from, to } = ends(path.direction);
  const before = { from: from.recordings().length, to: to.recordings().length };
  await answered(path, '608', 'tone');
  await pair.spoken(SECONDS + 0.5);
  from.hangupAll();
  await nothingLeft({ from, to });
  assertTone('caller', from.recordings()[before.from]!, to === pbx ? TONES.pbx : TONES.internet);
  assertTone('callee', to.recordings()[before.to]!, from === pbx ? TONES.pbx : TONES.internet);
}

async function digits(path: CallPath): Promise<void> {
  const { from, to } = ends(path.direction);
  const before = to.log('dtmf.txt').length;
  await answered(path, '605', 'dtmf');
  const heard = await until('digits at the callee', 14_000, () => read(to.log('dtmf.txt').slice(before)));
  assert.equal(heard, '159*0;');
  await nothingLeft({ from, to });
}

/** Dials by the dialplan; the cause that the caller is told. */
async function causeOf(path: CallPath, extension: string): Promise<number> {
  const { from } = ends(path.direction);
  const number = numberOf(path, extension);
  const before = from.log('causes.txt').length;
  if (path.caller === 'sip') from.dial(number);
  else from.dialH323(number, path.caller);
  const text = await until(`the end of the call to ${extension}`, 12_000, () =>
    read(from.log('causes.txt').slice(before)),
  );
  return Number(/=(\d+);/.exec(text)?.[1]);
}

async function ends16(path: CallPath): Promise<void> {
  await refused(path, '78016', 16);
}

async function refused(path: CallPath, extension: string, cause: number): Promise<void> {
  let told = await causeOf(path, extension);
  if (told !== cause) {
    results.again += 1; // now and then chan_ooh323 gives 111 in place of its cause
    await sleep(2 * PAUSE_MS);
    told = await causeOf(path, extension);
  }
  assert.equal(told, cause);
  await nothingLeft(ends(path.direction));
}

async function cancelled(path: CallPath): Promise<void> {
  const { from, to } = ends(path.direction);
  const before = from.log('full').length;
  originate(from, path, '604', 'wait');
  await until('ringing at the caller', SETUP_MS, () => /ringing/i.test(from.log('full').slice(before)));
  assert.equal(to.channels(), 1);
  from.hangupAll();
  await nothingLeft({ from, to });
}

async function callerClears(path: CallPath): Promise<void> {
  await answered(path, '608', 'clear');
  await nothingLeft(ends(path.direction));
}

const scenarios: Readonly<Record<Scenario, (path: CallPath) => Promise<void>>> = {
  sound,
  digits,
  busy: (path) => refused(path, '603', 17),
  'no answer': (path) => refused(path, '613', 19),
  cancel: cancelled,
  'caller clears': callerClears,
  'callee clears': ends16,
};

function lab(scenario: Scenario, path: CallPath): void {
  const name = `${path.direction}, ${path.caller} to ${path.callee}, ${path.codec}: ${scenario}`;
  labTest(
    holder,
    name,
    async () => {
      results.begin(scenario, path);
      try {
        await scenarios[scenario](path);
        results.passed(scenario, path);
      } finally {
        await sleep(PAUSE_MS);
      }
    },
    { seconds: 60, timed: scenario === 'sound' },
  );
}

for (const path of full ? soundPaths() : pairwise()) lab('sound', path);
for (const [scenario, path] of scenarioPaths(full)) lab(scenario, path);

labTest(holder, 'no packet of either H.323 link is malformed to tshark; both laws were used', async () => {
  for (const capture of captures) {
    await capture.stop();
    const shown = run('tshark', [
      '-r', capture.file, '-Y', '_ws.malformed && (h225 || h245 || q931 || tpkt)', '-T', 'fields', '-e', 'frame.number',
    ]); // biome-ignore format: a command line
    assert.equal(shown.trim(), '', `${capture.link}: frames ${shown}`);
    const types = new Set(
      capture.packets().flatMap((p) => (p.payload.length === 172 ? [p.payload[1]! & 127] : [])),
    );
    assert.ok(types.has(0) && types.has(8), `${capture.link}: ${[...types].join(' ')}`);
  }
});

after(() => {
  console.log(`second attempts that chan_ooh323 needed: ${results.again}`);
  if (full || process.env['VOIP_SGW_INTEROP'] === '1')
    writeFileSync(join(root, 'docs/interop.md'), results.text(full));
});
