/** Our own encodings of RAS, call signalling and H.245, dissected by tshark: nothing malformed, and field by field what we meant. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromHex } from '../../src/bytes/text.ts';
import { H225 } from '../../src/h323/asn1/h225.ts';
import type { H323UserInformation, RasMessage } from '../../src/h323/asn1/h225-types.ts';
import { H245 } from '../../src/h323/asn1/h245.ts';
import type { MultimediaSystemControlMessage } from '../../src/h323/asn1/h245-types.ts';
import { encodeH245, encodeSignalling, RAS_MESSAGE } from '../../src/h323/messages.ts';
import { decodePer } from '../../src/h323/per/decode.ts';
import { encodePer } from '../../src/h323/per/encode.ts';
import type { Q931Message } from '../../src/h323/q931.ts';
import { tpktPacket } from '../../src/h323/tpkt.ts';
import { captureOf, expectedFields, firstUnshown, shownPackets } from '../h323/dissection.ts';
import { chance, randomValue } from '../h323/random-value.ts';
import { ownVectors, REFERENCE_TYPES } from '../h323/reference.ts';

const skip = spawnSync('tshark', ['--version']).status === 0 ? false : 'no tshark here';

interface Subject {
  readonly name: string;
  /** What tshark shows the value as. */
  readonly label: string;
  readonly value: unknown;
  readonly transport: 'udp' | 'tcp';
  readonly port: number;
  readonly payload: Uint8Array;
}

const FACILITY: Q931Message = {
  type: 'facility',
  callReference: 7,
  fromDestination: false,
  facility: new Uint8Array(0),
};

/** H.245 travels in the Facility of H.225.0: tshark finds it there without a conversation set up before. */
function tunnelled(h245: Uint8Array): Uint8Array {
  const uuie: H323UserInformation = {
    h323UuPdu: {
      h323MessageBody: { choice: 'empty', value: null },
      h245Tunnelling: true,
      h245Control: [h245],
    },
  };
  return tpktPacket(encodeSignalling(FACILITY, uuie));
}

function vectors(set: string): Subject[] {
  return ownVectors(set).map(({ name, type, hex }) => {
    const decoded = decodePer(REFERENCE_TYPES[type]!, fromHex(hex)!);
    assert.ok(decoded.ok);
    return subject(set, name, decoded.value);
  });
}

/** Values of any kind the type has. Call signalling is left out: random octets in its tunnels are no messages to tshark either. */
function random(set: 'ras' | 'h245'): Subject[] {
  const [module, type] = set === 'ras' ? [H225, 'RasMessage'] : [H245, 'MultimediaSystemControlMessage'];
  const subjects = Array.from({ length: 250 }, (_, seed) =>
    subject(set, `${type} of seed ${seed}`, randomValue(chance(seed), module, type, 4)),
  );
  return subjects.filter((s) => s.payload.length < 1300).slice(0, 200);
}

function subject(set: string, name: string, value: unknown): Subject {
  if (set === 'ras') {
    const payload = encodePer(RAS_MESSAGE, value as RasMessage);
    return { name, label: 'RasMessage', value, transport: 'udp', port: 1719, payload };
  }
  if (set === 'h245') {
    const payload = tunnelled(encodeH245(value as MultimediaSystemControlMessage));
    return { name, label: 'PDU Type', value, transport: 'tcp', port: 1720, payload };
  }
  const payload = tpktPacket(encodeSignalling(FACILITY, value as H323UserInformation));
  return { name, label: 'H323-UserInformation', value, transport: 'tcp', port: 1720, payload };
}

function dissect(all: readonly Subject[]) {
  const folder = mkdtempSync(join(tmpdir(), 'voip-sgw-dissect-'));
  try {
    const file = join(folder, 'own.pcap');
    writeFileSync(file, captureOf(all));
    const result = spawnSync('tshark', ['-r', file, '-T', 'pdml'], { maxBuffer: 1 << 28 });
    assert.equal(result.status, 0, result.stderr.toString());
    return shownPackets(result.stdout.toString('utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What tshark says of a productNumber that is no text: not about the encoding. */
const NO_TEXT = ['Message: Trailing stray characters', 'Severity level: Warning', 'Group: Undecoded'];

function examine(all: readonly Subject[]): void {
  const packets = dissect(all);
  assert.equal(packets.length, all.length);
  for (const [index, { name, label, value }] of all.entries()) {
    const { fields, malformed } = packets[index]!;
    assert.deepEqual(
      malformed.filter((m) => !NO_TEXT.includes(m)),
      [],
      name,
    );
    assert.equal(firstUnshown(expectedFields(label, value), fields), undefined, name);
  }
}

for (const set of ['ras', 'signalling', 'h245']) {
  test(`${set}: tshark reads what we meant, and finds nothing malformed`, { skip }, () => {
    examine(vectors(set));
  });
}

for (const set of ['ras', 'h245'] as const) {
  test(`${set}: tshark reads 200 random values as we meant them`, { skip }, () => {
    const all = random(set);
    assert.equal(all.length, 200);
    examine(all);
  });
}
