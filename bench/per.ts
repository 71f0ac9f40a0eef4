/**
 * How fast a Setup with fast start and a TerminalCapabilitySet are decoded and encoded, against a codec that goes bit by bit
 * (test/h323/naive-*.ts) in the same run. Rounds of all alternate and the best of each counts, so that other load on the machine
 * hits all. `node dist/bench/per.js [--json]`.
 */
import assert from 'node:assert/strict';
import { fromHex, toHex } from '../src/bytes/text.ts';
import { H225 } from '../src/h323/asn1/h225.ts';
import { H245 } from '../src/h323/asn1/h245.ts';
import type { PerModule } from '../src/h323/per/compile.ts';
import { decodePer } from '../src/h323/per/decode.ts';
import { encodePer } from '../src/h323/per/encode.ts';
import { NaiveDecoder } from '../test/h323/naive-decoder.ts';
import { NaiveEncoder } from '../test/h323/naive-encoder.ts';
import { ownVectors } from '../test/h323/reference.ts';

interface Message {
  readonly name: string;
  readonly module: PerModule;
  readonly typeName: string;
  /** In our edition, so that all four directions work on the same octets. */
  readonly bytes: Uint8Array;
  readonly value: unknown;
}

function message(name: string, set: string, vector: string, module: PerModule): Message {
  const reference = ownVectors(set).find((v) => v.name === vector);
  if (reference === undefined) throw new Error(`no vector ${vector}`);
  const type = module.type<unknown>(reference.type);
  const decoded = decodePer(type, fromHex(reference.hex)!);
  if (!decoded.ok) throw new Error('the message of this bench must decode');
  const bytes = encodePer(type, decoded.value);
  return { name, module, typeName: reference.type, bytes, value: decoded.value };
}

const MESSAGES = [
  message('Setup', 'signalling', '18-codec-gsm-faststart frame 4', H225),
  message('TerminalCapabilitySet', 'h245', '22-codec-many frame 17', H245),
];

/** The naive codec is also the oracle: both must read and write the same. */
function agree({ module, typeName, bytes, value }: Message): void {
  assert.deepEqual(NaiveDecoder.decode(module, typeName, bytes), value);
  assert.equal(toHex(NaiveEncoder.encode(module, typeName, value)), toHex(bytes));
}

/** Runs per second in the best of the rounds. */
function measure(work: readonly (() => unknown)[]): number[] {
  const best = work.map(() => 0);
  for (let round = 0; round < 150; round++) {
    for (const [index, run] of work.entries()) {
      const perRound = index % 2 === 0 ? 200 : 20; // short, so that some rounds have the processor to themselves
      const start = process.hrtime.bigint();
      for (let i = 0; i < perRound; i++) run();
      const rate = perRound / (Number(process.hrtime.bigint() - start) / 1e9);
      best[index] = Math.max(best[index]!, rate);
    }
  }
  return best.map(Math.round);
}

const results = MESSAGES.map((subject) => {
  agree(subject);
  const { name, module, typeName, bytes, value } = subject;
  const type = module.type<unknown>(typeName);
  const [decode, naiveDecode, encode, naiveEncode] = measure([
    () => decodePer(type, bytes),
    () => NaiveDecoder.decode(module, typeName, bytes),
    () => encodePer(type, value),
    () => NaiveEncoder.encode(module, typeName, value),
  ]);
  return {
    message: name,
    messageBytes: bytes.length,
    decodesPerSecond: decode!,
    naiveDecodesPerSecond: naiveDecode!,
    encodesPerSecond: encode!,
    naiveEncodesPerSecond: naiveEncode!,
    decodeRatio: Number((decode! / naiveDecode!).toFixed(2)),
    encodeRatio: Number((encode! / naiveEncode!).toFixed(2)),
  };
});

const row = (what: string, rate: number): string =>
  `${what.padEnd(46)}${String(rate).padStart(10)} /s ${(1e6 / rate).toFixed(2).padStart(8)} µs`;
for (const r of results) {
  console.log(row(`decode a ${r.message} of ${r.messageBytes} octets`, r.decodesPerSecond));
  console.log(row('the same, bit by bit', r.naiveDecodesPerSecond));
  console.log(row('encode it', r.encodesPerSecond));
  console.log(row('the same, bit by bit', r.naiveEncodesPerSecond));
}
if (process.argv.includes('--json')) console.log(JSON.stringify({ bench: 'per', results }));
