/** fast-check generators of Meta messages, for this folder's and call's tests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkMessage } from './check.ts';
import { CALL_STATES, DIGITS, LAYOUTS, NUMBER_TYPES, ORIGINS, PRIORITIES, PRIVACIES } from './fields.ts';
import { FORMAT_RULES } from './media-rules.ts';
import type {
  DigestProof,
  FenceCall,
  Format,
  FormatName,
  MediaExchange,
  MediaKind,
  MetaMessage,
  Party,
  Stream,
} from './message.ts';
import { FORMAT_NAMES, META_VERSION, PARAMETER_NAMES } from './message.ts';

/** fast-check makes records without prototype; messages have one. */
function plain<T>(value: T): T {
  return structuredClone(value);
}

type Optional<T> = { [K in keyof T]: T[K] };

export const callId = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((b) => [...b].map((x) => x.toString(16).padStart(2, '0')).join(''));

function charactersOf(alphabet: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength });
}

function printable(minLength: number, maxLength: number, from = 0x20): fc.Arbitrary<string> {
  return fc.string({
    unit: fc.integer({ min: from, max: 0x7e }).map((c) => String.fromCharCode(c)),
    minLength,
    maxLength,
  });
}

const number = fc.constantFrom(...NUMBER_TYPES).chain((numberType) =>
  fc.record({
    numberType: fc.constant(numberType),
    number:
      numberType === 'uri'
        ? printable(0, 64, 0x21)
        : numberType === 'international'
          ? charactersOf('0123456789', 1, 64)
          : charactersOf(DIGITS, numberType === 'unknown' ? 0 : 1, 64),
  }),
);

export const party: fc.Arbitrary<Party> = fc
  .tuple(
    number,
    fc.record({ privacy: fc.constantFrom(...PRIVACIES), verified: fc.boolean() }),
    fc.record({ displayName: charactersOf('aZ 9ä"<>\\漢字😀', 1, 20) }, { requiredKeys: [] }) as fc.Arbitrary<
      Optional<{ displayName?: string }>
    >,
  )
  .map(([a, b, c]) => ({ ...a, ...b, ...c }));

function format(id: number, kind: MediaKind): fc.Arbitrary<Format> {
  const names = FORMAT_NAMES.filter((n) =>
    kind === 'image' ? n === 'T38' : FORMAT_RULES[n].kind === kind || FORMAT_RULES[n].kind === 'any',
  );
  return fc.constantFrom(...names).chain((name: FormatName) =>
    fc.record({
      id: fc.constant(id),
      name: fc.constant(name),
      clockRate: fc.constantFrom(...FORMAT_RULES[name].rates),
      channels: fc.integer({ min: name === 'OPUS' ? 2 : 1, max: FORMAT_RULES[name].channels }),
      parameters: fc
        .uniqueArray(fc.constantFrom(...PARAMETER_NAMES), { maxLength: 3 })
        .chain((used) =>
          fc.tuple(
            ...[...used]
              .sort()
              .map((parameter) => fc.record({ name: fc.constant(parameter), value: printable(0, 20) })),
          ),
        ),
    }),
  ) as fc.Arbitrary<Format>;
}

function stream(index: number): fc.Arbitrary<Stream> {
  return fc
    .record({
      kind: fc.constantFrom<MediaKind>('audio', 'audio', 'video', 'image'),
      refused: fc.boolean(),
      direction: fc.constantFrom('sendrecv', 'sendonly', 'recvonly', 'inactive'),
      packetTime: fc.option(fc.integer({ min: 5, max: 200 }), { nil: undefined }),
      ids: fc.uniqueArray(fc.integer({ min: 0, max: 31 }), { minLength: 1, maxLength: 5 }),
    })
    .chain(({ kind, refused, direction, packetTime, ids }) =>
      (refused ? fc.constant([]) : fc.tuple(...ids.map((id) => format(id, kind)))).map(
        (formats) =>
          ({
            index,
            kind,
            refused,
            direction,
            ...(packetTime === undefined ? {} : { packetTime }),
            formats,
          }) as Stream,
      ),
    );
}

const streams = fc
  .uniqueArray(fc.integer({ min: 0, max: 7 }), { maxLength: 3 })
  .chain((indexes) => fc.tuple(...indexes.sort((a, b) => a - b).map(stream))) as fc.Arbitrary<Stream[]>;

export const exchange: fc.Arbitrary<MediaExchange> = fc
  .record({
    by: fc.constantFrom('originator', 'terminator'),
    number: fc.integer({ min: 1, max: 65_535 }),
    branch: fc.integer({ min: 0, max: 65_535 }),
  })
  .chain((head) =>
    fc.oneof(
      fc.record({ kind: fc.constantFrom('offer', 'answer'), streams }).map((r) => ({ ...r, ...head })),
      fc.integer({ min: 1, max: 127 }).map((cause) => ({ kind: 'refuse', ...head, cause })),
    ),
  ) as fc.Arbitrary<MediaExchange>;

export const proof: fc.Arbitrary<DigestProof> = fc.record({
  algorithm: fc.constantFrom('MD5', 'SHA-256'),
  username: printable(0, 200).map((text) => `${text}\u00c3\u00bc`),
  realm: printable(0, 100),
  nonce: printable(0, 140),
  uri: printable(0, 40),
  response: printable(0, 40),
  cnonce: printable(0, 40),
  nonceCount: fc.nat(),
  method: printable(0, 20),
});

const cause = fc.integer({ min: 1, max: 127 });
const FIELDS: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  shard: fc.integer({ min: 0, max: 255 }),
  streamBase: fc.integer({ min: 1, max: 0x1fff_ffff }).map((n) => n * 8),
  caller: party,
  callee: party,
  diverting: party,
  connected: party,
  target: party,
  number: party,
  priority: fc.constantFrom(...PRIORITIES),
  accountingId: printable(1, 64),
  hops: fc.integer({ min: 0, max: 70 }),
  branch: fc.integer({ min: 0, max: 65_535 }),
  media: exchange,
  cause,
  origin: fc.constantFrom(...ORIGINS),
  retryAfterSeconds: fc.integer({ min: 0, max: 86_400 }),
  glare: fc.boolean(),
  digit: fc.constantFrom(...DIGITS),
  durationMs: fc.integer({ min: 40, max: 8000 }),
  event: fc.constantFrom('hold', 'retrieve', 'queued', 'forwarding'),
  replaces: callId,
  state: fc.constantFrom(...CALL_STATES),
  mediaGeneration: fc.integer({ min: 0, max: 0xffff_ffff }),
  proof,
  account: printable(1, 64),
  expiresSeconds: fc.integer({ min: 0, max: 0xffff_ffff }),
};

export const message: fc.Arbitrary<MetaMessage> = fc.constantFrom(...LAYOUTS).chain((layout) => {
  const model: Record<string, fc.Arbitrary<unknown>> = { kind: fc.constant(layout.kind) };
  const required = ['kind', layout.head];
  model[layout.head] = layout.head === 'call' ? callId : fc.integer({ min: 1, max: 0xffff_ffff });
  for (const field of layout.fields) {
    const values = field.type.type === 'choice' ? fc.constantFrom(...field.type.values) : FIELDS[field.name]!;
    model[field.name] = values;
    if (!field.optional) required.push(field.name);
  }
  return fc.record(model, { requiredKeys: required }).map(plain) as unknown as fc.Arbitrary<MetaMessage>;
});

export const fenceCalls: fc.Arbitrary<FenceCall[]> = fc
  .uniqueArray(
    fc.record({
      call: callId,
      state: fc.constantFrom(...CALL_STATES),
      mediaGeneration: fc.integer({ min: 0, max: 0xffff_ffff }),
    }),
    { selector: (c) => c.call, maxLength: 40 },
  )
  .map(plain);

test('generated messages are messages Meta can carry', () => {
  fc.assert(fc.property(message, (m) => assert.equal(checkMessage(m, META_VERSION.minor), undefined)));
});
