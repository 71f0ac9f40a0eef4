/** How calls fail: the reason arrives on the other side, both ways, and nothing is left. */
import assert from 'node:assert/strict';
import { labTest, useLab } from './lab.ts';
import { inward, outward, Pair } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import { hostPort } from './peers/sipp.ts';
import { sleep, until } from './run.ts';
import { host } from './topology.ts';

let pair: Pair;
let pbx: Asterisk;
const holder = useLab('causes', async (lab) => {
  pbx = await lab.pbx('v4');
  pair = await Pair.start(lab);
});

/** RFC 3398 8.2.6.1: cause of the PBX, status outside. */
for (const [extension, status, why] of [
  ['603', '486', 'busy (17)'],
  ['606', '404', 'unallocated (1)'],
  ['607', '503', 'no circuit (34)'],
  ['77021', '403', 'rejected (21)'],
  ['77028', '484', 'address incomplete (28)'],
] as const) {
  labTest(holder, `PBX refuses with ${why}: the caller outside gets ${status}`, async (lab) => {
    const caller = lab.sipp({
      place: 'internet',
      scenario: 'uac-refused',
      ip: host.caller.v4,
      port: 5070,
      to: hostPort(host.gw2.v4, 5060),
      number: `${inward.pbx4}${extension}`,
      values: { CODE: status },
    });
    const result = await caller.result();
    assert.ok(result.ok, result.why);
    await pair.idle();
  });
}

labTest(holder, 'a number without a route: 404', async (lab) => {
  const caller = lab.sipp({
    place: 'internet',
    scenario: 'uac-refused',
    ip: host.caller.v4,
    port: 5070,
    to: hostPort(host.gw2.v4, 5060),
    number: '9999',
    values: { CODE: '404' },
  });
  const result = await caller.result();
  assert.ok(result.ok, result.why);
  await pair.idle();
});

/** RFC 3398 7.2.4.1: status outside, cause at the PBX. */
for (const [status, cause] of [
  ['486', 17],
  ['404', 1],
  ['484', 28],
  ['603', 21],
  ['600', 17],
] as const) {
  labTest(holder, `callee outside refuses with ${status}: the PBX sees cause ${cause}`, async (lab) => {
    const before = pbx.log('causes.txt').length;
    const callee = lab.sipp({
      place: 'internet',
      scenario: 'uas-refuse',
      ip: host.callee.v4,
      port: 5060,
      values: { CODE: status },
    });
    await sleep(400);
    pbx.dial(outward.callee);
    const result = await callee.result();
    assert.ok(result.ok, result.why);
    await until('the cause at the PBX', 4000, () => pbx.log('causes.txt').length > before);
    assert.equal(pbx.cause(outward.callee), cause);
    await pair.idle();
  });
}

labTest(holder, 'nobody at home outside: the PBX gets a failure within 35 s, not silence', async () => {
  pbx.dial(outward.phone6Tcp); // nobody listens: connection refused
  const cause = await until('a cause', 35_000, () => pbx.cause(outward.phone6Tcp));
  assert.ok(cause > 0 && cause !== 16, String(cause));
  await pair.idle();
});

labTest(
  holder,
  'the PBX is gone: the caller outside gets a failure, calls work when it is back',
  async (lab) => {
    await pbx.stop();
    const call = (code: string) =>
      lab.sipp({
        place: 'internet',
        scenario: 'uac-refused',
        ip: host.caller.v4,
        port: 5070,
        to: hostPort(host.gw2.v4, 5060),
        number: `${inward.pbx4}600`,
        values: { CODE: code },
        patienceSeconds: 40,
      });
    const { messages, why } = await call('503').result();
    assert.match(messages, /SIP\/2\.0 (408|480|500|502|503|504) /, why);
    pbx = await lab.pbx('v4');
    const good = lab.sipp({
      place: 'internet',
      scenario: 'uac-call',
      ip: host.caller.v4,
      port: 5072,
      to: hostPort(host.gw2.v4, 5060),
      number: `${inward.pbx4}600`,
    });
    const result = await good.result();
    assert.ok(result.ok, result.why);
    await pair.idle();
  },
  { seconds: 90 },
);
