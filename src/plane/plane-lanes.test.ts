import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import tls from 'node:tls';
import { systemCrypto } from '../net/providers.ts';
import { type TlsIdentity, tunnelClientOptions } from '../net/tls.ts';
import { createAuthority, issueCertificate } from '../store/pki.ts';
import { LANE_EXPORTER_LABEL, writeHello } from '../tunnel/lane-hello.ts';
import { FRAME_HELLO, helloFrame } from '../tunnel/media-frame.ts';
import {
  authority,
  both,
  call,
  eventually,
  gw1,
  KEY,
  koffiLoads,
  otherSite,
  Pair,
  pause,
  SESSION,
  talk,
} from './plane-pair.test.ts';

for (const acceptor of koffiLoads ? (['koffi', 'koffi-node', 'dgram'] as const) : (['dgram'] as const)) {
  test(`a lane without proof, of another site, or without a certificate is refused: ${acceptor}`, async (t) => {
    const pair = new Pair();
    t.after(() => pair.stop());
    await pair.start([both, acceptor]);
    pair.session(1);
    await pair.a.until('lane-up');

    const dial = (identity: TlsIdentity, key: Uint8Array): Promise<string> =>
      new Promise((resolve) => {
        const socket = tls.connect(
          { ...tunnelClientOptions(identity, 'gw2.example'), port: pair.port, host: '127.0.0.1' },
          () => {
            const exporter = socket.exportKeyingMaterial(32, LANE_EXPORTER_LABEL, Buffer.alloc(0));
            const hello = { shard: 0, lane: 5, session: SESSION };
            socket.write(helloFrame(FRAME_HELLO, writeHello('dialer', hello, key, exporter, systemCrypto)));
          },
        );
        const got: Buffer[] = [];
        socket.on('data', (d) => got.push(d));
        socket.on('error', () => undefined);
        socket.on('close', () => resolve(Buffer.concat(got).toString('hex')));
      });
    // 2 octets: close frame (type 3), reason 3: hello-refused.
    assert.equal(await dial(gw1, randomBytes(32)), '00023003');
    assert.match((await pair.b.until('lane-refused', 1)).reason, /no proof/);
    assert.equal(
      await dial(otherSite, KEY),
      '00023003',
      'the key alone is not enough: the name must be the site',
    );
    assert.match((await pair.b.until('lane-refused', 2)).reason, /not of site-a/);
    const stranger = await createAuthority('stranger');
    const made = await issueCertificate(stranger, { use: 'relay', dnsNames: ['site-a.example'] });
    const identity = { certificate: made.certificate, key: made.key, ca: authority.certificate };
    assert.equal(await dial(identity, KEY), '');
    await pair.b.until('lane-refused', 3);
    assert.equal(pair.b.of('lane-up').length, 1);
  });
}

test('lanes that are cut, or established but dead, come back and the call goes on', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both]);
  pair.session();
  await pair.a.until('lane-up', 2);
  const { inside, outside, outerLeg } = await call(pair, 13);
  const works = async (what: string): Promise<void> => {
    inside.heard.length = 0;
    const said = await talk(outside, outerLeg.local.port, 10);
    await eventually(() => inside.heard.length === 10, what);
    assert.deepEqual(inside.payloads().sort(), said.sort());
  };
  await works('sound before');
  pair.cut();
  await pair.a.until('lane-down', 2);
  await talk(outside, outerLeg.local.port, 5);
  await pause(300); // what was said in the cut is stale by now
  pair.mend();
  await pair.a.until('lane-up', 4);
  await works('sound after the cut');
  const stalledAt = Date.now();
  pair.stall();
  const down = await pair.a.until('lane-down', 4);
  assert.equal(down.reason, 'silent');
  assert.ok(Date.now() - stalledAt < 4500, 'a dead lane is found within seconds');
  await pair.a.until('lane-up', 6);
  await pair.b.until('lane-up', 6);
  await works('sound after the stall');
});

test('two shards: every lane finds the worker of its shard although main does not know it', async (t) => {
  const pair = new Pair();
  t.after(() => pair.stop());
  await pair.start([both, both], 2);
  pair.session(2, 'site-a.example', 0);
  pair.session(2, 'site-a.example', 1);
  await pair.a.until('lane-up', 4);
  await pair.b.until('lane-up', 4);
});
