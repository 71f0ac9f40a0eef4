/** Whole connections of the captures: TPKT, Q.931 and what is inside, as an endpoint meets them. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { latin1Bytes, toHex } from '../../src/bytes/text.ts';
import {
  decodeFastStart,
  decodeH245,
  decodeRas,
  decodeSignalling,
  encodeFastStart,
  tunnelledH245,
} from '../../src/h323/messages.ts';
import { decodeQ931 } from '../../src/h323/q931-decode.ts';
import { encodeQ931 } from '../../src/h323/q931-encode.ts';
import { TpktFramer } from '../../src/h323/tpkt.ts';
import { TCP, UDP } from '../lab/packets.ts';
import type { Flow } from './pcap.ts';
import { readFlows } from './pcap.ts';
import { chance } from './random-value.ts';
import { CAPTURES, capturedPdus, capturesAbsent } from './reference.ts';

const FILES = capturesAbsent ? [] : readdirSync(`${CAPTURES}pcap`).map((f) => `${CAPTURES}pcap/${f}`);

/** The stream in chunks that have nothing to do with its packets. */
function framed(flow: Flow, seed: number): Uint8Array[] {
  const stream = Uint8Array.from(flow.payloads.flatMap((p) => [...p]));
  const pick = chance(seed);
  const framer = new TpktFramer();
  const out: Uint8Array[] = [];
  for (let at = 0; at < stream.length; ) {
    const end = at + 1 + pick(seed % 2 === 0 ? 5 : 2000);
    out.push(...framer.push(stream.subarray(at, end)));
    at = end;
  }
  assert.equal(framer.fault, undefined, flow.name);
  assert.equal(framer.partial, false, flow.name);
  return out;
}

function isH323(flow: Flow): boolean {
  const first = flow.payloads[0]!;
  return first[0] === 3 && first[1] === 0 && first.length >= 4;
}

test('every connection is cut into packets that decode, whatever the chunks', {
  skip: capturesAbsent,
}, () => {
  const expected = capturedPdus();
  const wanted = new Set(expected.filter((r) => r.type === 'H323-UserInformation').map((r) => r.hex));
  const seen = new Set<string>();
  let control = 0;
  for (const [index, file] of FILES.entries()) {
    for (const flow of readFlows(file, TCP).filter(isH323)) {
      const packets = framed(flow, index);
      assert.deepEqual(framed(flow, index + 1).map(toHex), packets.map(toHex));
      for (const packet of packets) {
        if (packet[0] !== 8 || packet[1] !== 2) {
          assert.ok(decodeH245(packet).ok, `${file} ${toHex(packet)}`);
          control++;
          continue;
        }
        const decoded = decodeSignalling(packet);
        assert.ok(decoded.ok, `${file} ${JSON.stringify(decoded)}`);
        const { q931, uuie } = decoded.value;
        assert.ok(uuie !== undefined && q931.userUser !== undefined);
        seen.add(toHex(q931.userUser));
        for (const inner of tunnelledH245(uuie)) assert.ok(inner.ok);
      }
    }
  }
  assert.ok(control > 150, String(control));
  assert.deepEqual(
    [...wanted].filter((hex) => !seen.has(hex)),
    [],
  );
});

/** Hexadecimal, without the NUL with which these peers end Display. */
function withoutNul(packet: Uint8Array, display = ''): string {
  const element = (length: number, text: string): string =>
    `28${length.toString(16).padStart(2, '0')}${toHex(latin1Bytes(text))}`;
  return toHex(packet).replace(element(display.length + 1, `${display}\0`), element(display.length, display));
}

test('Q.931 messages encode to their octets again', { skip: capturesAbsent }, () => {
  let count = 0;
  for (const [index, file] of FILES.entries()) {
    for (const flow of readFlows(file, TCP).filter(isH323)) {
      for (const packet of framed(flow, index).filter((p) => p[0] === 8 && p[1] === 2)) {
        const decoded = decodeQ931(packet);
        assert.ok(decoded.ok);
        assert.deepEqual(decoded.value.ignored, [], toHex(packet));
        assert.equal(toHex(encodeQ931(decoded.value)), withoutNul(packet, decoded.value.display), file);
        count++;
      }
    }
  }
  assert.ok(count > 500, String(count));
});

test('RAS datagrams and fast start elements decode', { skip: capturesAbsent }, () => {
  let datagrams = 0;
  for (const file of FILES) {
    for (const flow of readFlows(file, UDP).filter((f) => f.name.includes(' 1719'))) {
      for (const payload of flow.payloads) {
        assert.ok(decodeRas(payload).ok, `${file} ${toHex(payload)}`);
        datagrams++;
      }
    }
  }
  assert.ok(datagrams > 90, String(datagrams));
  let channels = 0;
  for (const { hex, type } of capturedPdus()) {
    if (type !== 'H323-UserInformation') continue;
    const packet = encodeQ931({
      type: 'setup',
      callReference: 1,
      fromDestination: false,
      userUser: Buffer.from(hex, 'hex'),
    });
    const decoded = decodeSignalling(packet);
    const body = decoded.ok ? decoded.value.uuie?.h323UuPdu.h323MessageBody : undefined;
    if (body?.choice !== 'setup' && body?.choice !== 'connect' && body?.choice !== 'alerting') continue;
    for (const element of body.value.fastStart ?? []) {
      const channel = decodeFastStart(element);
      assert.ok(channel.ok);
      assert.deepEqual(decodeFastStart(encodeFastStart(channel.value.message)), channel);
      channels++;
    }
  }
  assert.ok(channels > 100, String(channels));
});
