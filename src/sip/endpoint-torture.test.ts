/** RFC 4475 and RFC 5118 sent to a whole endpoint by a known peer, where the reference data lies beside the repository. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { latin1Text } from '../bytes/text.ts';
import { IDLE, Net, Node } from './test-network.test.ts';

const FOLDER = new URL('../../../../shared/sip/', import.meta.url);
const skip = existsSync(FOLDER) ? false : 'no ../shared/sip here';
const PEER = { ip: '192.0.2.9', port: 5060 };

/** Where this endpoint's answer follows from what it is, not from the list. */
const OWN: Readonly<Record<string, readonly number[]>> = {
  'wsinv.dat': [481], // its To has a tag, and there is no such dialog
  'zeromf.dat': [200], // 3.3.11: an endpoint processes it
  'mpart01.dat': [405], // MESSAGE
  'test.dat': [], // not of the RFC: 400 or silence
};

function play(bytes: Uint8Array): { readonly gw: Node; readonly answers: number[]; readonly net: Net } {
  const net = new Net(7);
  const gw = new Node(net, { name: 'gw', ip: '192.0.2.1', peers: [{ name: 'raw', host: PEER.ip }] });
  const answers: number[] = [];
  net.drop = (text, _from, to) => {
    assert.equal(to.ip, PEER.ip, 'answers go to the source only');
    const status = Number(/^SIP\/2\.0 (\d+)/.exec(text)?.[1] ?? 0);
    if (status > 100) answers.push(status);
    return true;
  };
  gw.input({ kind: 'datagram', listener: 'udp', remote: PEER, bytes });
  net.run(400);
  return { gw, answers, net };
}

for (const suite of ['rfc4475', 'rfc5118']) {
  test(`${suite}: each message gets the status the RFC names, or its session, or silence`, { skip }, () => {
    const rows = readFileSync(new URL(`${suite}/index.tsv`, FOLDER), 'utf8')
      .trim()
      .split('\n')
      .slice(1);
    assert.ok(rows.length >= 12);
    for (const row of rows) {
      const [file = '', , kind = '', method = '', , action = '', status = ''] = row.split('\t');
      const { gw, answers, net } = play(new Uint8Array(readFileSync(new URL(`${suite}/${file}`, FOLDER))));
      const taken = gw.seen('incoming').length + gw.seen('request').length;
      const what = `${file} ${method}: ${answers.join()} taken ${taken}`;
      const own = OWN[file];
      if (own !== undefined) assert.deepEqual(answers, own, what);
      else if (kind === 'response' || action === 'drop') assert.deepEqual(answers, [], what);
      else if (taken > 0) assert.ok(action !== 'reject' && answers.length === 0 && taken === 1, what);
      else {
        const wanted =
          status === '' || action === 'either'
            ? [...status.split(',').map(Number), 200]
            : status.split(',').map(Number);
        assert.ok(answers.length === 1 && wanted.includes(answers[0]!), what);
      }
      for (const { session } of gw.seen('incoming')) gw.command({ kind: 'reject', session, status: 404 });
      net.run();
      assert.deepEqual(gw.endpoint.sizes, IDLE, what);
    }
  });
}

test('no datagram that is cut short or changed in one octet makes the endpoint throw or keep state', {
  skip,
}, () => {
  const bytes = new Uint8Array(readFileSync(new URL('rfc4475/wsinv.dat', FOLDER)));
  for (let i = 0; i < bytes.length; i += 3) {
    const changed = bytes.slice();
    changed[i] = (changed[i]! * 7 + 13) & 255;
    for (const candidate of [bytes.slice(0, i), changed]) {
      const { gw, net } = play(candidate);
      for (const { session } of gw.seen('incoming')) gw.command({ kind: 'end', session });
      net.run();
      assert.deepEqual(gw.endpoint.sizes, IDLE, latin1Text(candidate));
    }
  }
});
