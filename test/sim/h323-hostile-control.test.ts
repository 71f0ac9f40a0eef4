/**
 * H.245 that no terminal says, between what one says: modes without end, fax channels that nobody can, channels closed in the middle of a change,
 * answers to nothing. The call may end; the gateways answer or drop, hold to their rates, and nothing is left.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toH245 } from '../../src/h323/addresses.ts';
import type {
  CapabilityTableEntry,
  DataType,
  MultimediaSystemControlMessage,
  RequestMessage,
  ResponseMessage,
} from '../../src/h323/asn1/h245-types.ts';
import { H225_PROTOCOL } from '../../src/h323/identity.ts';
import { decodeSignalling, encodeFastStart, encodeH245, encodeSignalling } from '../../src/h323/messages.ts';
import { TpktFramer, tpktPacket } from '../../src/h323/tpkt.ts';
import { type Call, connected, finish, type Pair, pair } from './h323-world.ts';
import { terminationConfig } from './sim-config.ts';

const RUNS = Number(process.env['VOIP_SGW_RUNS'] ?? 120);
const codecs = [...terminationConfig().media.codecs, 'T38' as const];

/** Says H.245 of the test's own in the phone's call, tunnelled. */
class Voice {
  readonly #it: Pair;
  #connection = -1;
  #reference = -1;
  #guid: Uint8Array | undefined;

  /** `fastStart`: in place of what the phone's Setup proposes. */
  constructor(it: Pair, fastStart?: readonly Uint8Array[]) {
    this.#it = it;
    const { h323 } = it.world;
    const carry = h323.output.bind(h323);
    const framer = new TpktFramer();
    h323.output = (host, out) => {
      if (host === it.outside.h323 && out.kind === 'send-stream' && this.#guid === undefined) {
        for (const payload of framer.push(out.bytes)) {
          const decoded = decodeSignalling(payload);
          if (!decoded.ok) continue;
          const body = decoded.value.uuie?.h323UuPdu.h323MessageBody;
          if (body?.choice !== 'setup') continue;
          this.#connection = out.connection;
          this.#reference = decoded.value.q931.callReference;
          this.#guid = body.value.callIdentifier!.guid;
          if (fastStart === undefined) continue;
          const { h323UuPdu } = decoded.value.uuie!;
          const h323MessageBody = { choice: 'setup' as const, value: { ...body.value, fastStart } };
          const changed = { ...h323UuPdu, h323MessageBody };
          const bytes = tpktPacket(encodeSignalling(decoded.value.q931, { h323UuPdu: changed }));
          return carry(host, { ...out, bytes });
        }
      }
      carry(host, out);
    };
  }

  say(messages: readonly MultimediaSystemControlMessage[]): void {
    const value = {
      protocolIdentifier: H225_PROTOCOL,
      reason: { choice: 'transportedInformation' as const, value: null },
      callIdentifier: { guid: this.#guid! },
    };
    const bytes = encodeSignalling(
      { type: 'facility', callReference: this.#reference, fromDestination: false },
      {
        h323UuPdu: {
          h323MessageBody: { choice: 'facility', value },
          h245Tunnelling: true,
          h245Control: messages.map(encodeH245),
        },
      },
    );
    const { world, outside } = this.#it;
    world.h323.output(outside.h323!, {
      kind: 'send-stream',
      connection: this.#connection,
      bytes: tpktPacket(bytes),
    });
  }
}

const request = (value: RequestMessage): MultimediaSystemControlMessage => ({ choice: 'request', value });
const response = (value: ResponseMessage): MultimediaSystemControlMessage => ({ choice: 'response', value });

const sequence = fc.constantFrom(0, 1, 2, 3, 255);
const channel = fc.constantFrom(1, 2, 3, 4, 5, 6, 101, 102, 65535);
const figure = fc.constantFrom(0, 1, 71, 72, 400, 65_535, 4_294_967_295);

const UDP = { choice: 'udp', value: null } as const;
const TCP = { choice: 'tcp', value: null } as const;
const fax = fc
  .record({
    rate: figure,
    buffer: figure,
    datagram: figure,
    version: fc.constantFrom(0, 3, 255),
    udp: fc.boolean(),
  })
  .map(
    ({ rate, buffer, datagram, version, udp }) =>
      ({
        application: {
          choice: 't38fax',
          value: {
            t38FaxProtocol: udp ? UDP : TCP,
            t38FaxProfile: {
              fillBitRemoval: version > 0,
              transcodingJBIG: false,
              transcodingMMR: false,
              version,
              t38FaxRateManagement: { choice: 'transferredTCF', value: null },
              t38FaxUdpOptions: {
                t38FaxMaxBuffer: buffer,
                t38FaxMaxDatagram: datagram,
                t38FaxUdpEC: { choice: 't38UDPFEC', value: null },
              },
            },
          },
        },
        rate,
      }) as const,
  );
const dataType: fc.Arbitrary<DataType> = fc.oneof(
  fax.map(
    ({ application, rate }): DataType => ({ choice: 'data', value: { application, maxBitRate: rate } }),
  ),
  fc.constantFrom<DataType>(
    { choice: 'audioData', value: { choice: 'g711Alaw64k', value: 20 } },
    { choice: 'audioData', value: { choice: 'g711Ulaw64k', value: 240 } },
    { choice: 'audioData', value: { choice: 'g729', value: 2 } },
    { choice: 'nullData', value: null },
  ),
);
const address = fc
  .constantFrom(
    ['203.0.113.7', 22_000],
    ['203.0.113.7', 22_004],
    ['127.0.0.1', 5060],
    ['10.0.0.10', 5060],
    ['203.0.113.7', 0],
    ['224.0.0.1', 9],
  )
  .map(([ip, port]) => toH245({ ip: ip as string, port: port as number }));

const message: fc.Arbitrary<MultimediaSystemControlMessage> = fc.oneof(
  fc
    .record({
      sequenceNumber: sequence,
      modes: fc.array(fc.oneof(fax, fc.constant(undefined)), { minLength: 1, maxLength: 3 }),
    })
    .map(({ sequenceNumber, modes }) =>
      request({
        choice: 'requestMode',
        value: {
          sequenceNumber,
          requestedModes: modes.map((mode) => [
            mode === undefined
              ? { type: { choice: 'audioMode', value: { choice: 'g711Alaw64k', value: null } } }
              : {
                  type: { choice: 'dataMode', value: { application: mode.application, bitRate: mode.rate } },
                },
          ]),
        },
      }),
    ),
  fc
    .record({
      number: channel,
      dataType,
      session: fc.constantFrom(0, 1, 2, 3, 255),
      to: fc.option(address),
      replaces: fc.option(channel),
    })
    .map(({ number, dataType: type, session, to, replaces }) =>
      request({
        choice: 'openLogicalChannel',
        value: {
          forwardLogicalChannelNumber: number,
          forwardLogicalChannelParameters: {
            dataType: type,
            multiplexParameters: {
              choice: 'h2250LogicalChannelParameters',
              value: {
                sessionID: session,
                ...(to === null ? {} : { mediaChannel: to, mediaControlChannel: to }),
              },
            },
            ...(replaces === null ? {} : { replacementFor: replaces }),
          },
        },
      }),
    ),
  channel.map((forwardLogicalChannelNumber) =>
    request({
      choice: 'closeLogicalChannel',
      value: { forwardLogicalChannelNumber, source: { choice: 'user', value: null } },
    }),
  ),
  channel.map((forwardLogicalChannelNumber) =>
    request({
      choice: 'requestChannelClose',
      value: { forwardLogicalChannelNumber, reason: { choice: 'normal', value: null } },
    }),
  ),
  fc
    .record({ sequenceNumber: sequence, types: fc.array(dataType, { maxLength: 4 }), bare: fc.boolean() })
    .map(({ sequenceNumber, types, bare }) => {
      const table = types.flatMap((type, i): CapabilityTableEntry[] => {
        const capabilityTableEntryNumber = i + 1;
        if (type.choice === 'data') {
          const choice = 'receiveAndTransmitDataApplicationCapability';
          return [{ capabilityTableEntryNumber, capability: { choice, value: type.value } }];
        }
        if (type.choice !== 'audioData') return [];
        const choice = 'receiveAudioCapability';
        return [{ capabilityTableEntryNumber, capability: { choice, value: type.value } }];
      });
      return request({
        choice: 'terminalCapabilitySet',
        value: {
          sequenceNumber,
          protocolIdentifier: '0.0.8.245.0.7',
          ...(bare || table.length === 0
            ? {}
            : {
                capabilityTable: table,
                capabilityDescriptors: [
                  {
                    capabilityDescriptorNumber: 0,
                    simultaneousCapabilities: [table.map((t) => t.capabilityTableEntryNumber)],
                  },
                ],
              }),
        },
      });
    }),
  fc
    .record({ terminalType: fc.constantFrom(0, 50, 190, 255), number: fc.constantFrom(0, 1, 16_777_215) })
    .map(({ terminalType, number }) =>
      request({
        choice: 'masterSlaveDetermination',
        value: { terminalType, statusDeterminationNumber: number },
      }),
    ),
  sequence.map((sequenceNumber) => request({ choice: 'roundTripDelayRequest', value: { sequenceNumber } })),
  sequence.map((sequenceNumber) =>
    response({
      choice: 'requestModeAck',
      value: { sequenceNumber, response: { choice: 'willTransmitMostPreferredMode', value: null } },
    }),
  ),
  sequence.map((sequenceNumber) =>
    response({
      choice: 'requestModeReject',
      value: { sequenceNumber, cause: { choice: 'modeUnavailable', value: null } },
    }),
  ),
  sequence.map((sequenceNumber) =>
    response({ choice: 'terminalCapabilitySetAck', value: { sequenceNumber } }),
  ),
  fc.record({ number: channel, to: fc.option(address) }).map(({ number, to }) =>
    response({
      choice: 'openLogicalChannelAck',
      value: {
        forwardLogicalChannelNumber: number,
        ...(to === null
          ? {}
          : {
              forwardMultiplexAckParameters: {
                choice: 'h2250LogicalChannelAckParameters' as const,
                value: { sessionID: 1, mediaChannel: to, mediaControlChannel: to },
              },
            }),
      },
    }),
  ),
  fc
    .record({
      number: channel,
      cause: fc.constantFrom('dataTypeNotSupported', 'masterSlaveConflict', 'unspecified'),
    })
    .map(({ number, cause }) =>
      response({
        choice: 'openLogicalChannelReject',
        value: {
          forwardLogicalChannelNumber: number,
          cause: { choice: cause as 'unspecified', value: null },
        },
      }),
    ),
  fc.constantFrom<MultimediaSystemControlMessage>(
    {
      choice: 'indication',
      value: { choice: 'userInput', value: { choice: 'alphanumeric', value: '0123456789#*ABCD' } },
    },
    {
      choice: 'command',
      value: { choice: 'sendTerminalCapabilitySet', value: { choice: 'genericRequest', value: null } },
    },
    {
      choice: 'command',
      value: { choice: 'endSessionCommand', value: { choice: 'disconnect', value: null } },
    },
  ),
);

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('say' as const),
      messages: fc.array(message, { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'fax',
        'speech',
        'hold',
        'retrieve',
        'inner-fax',
        'inner-speech',
        'inner-hold',
        'inner-ask',
      ),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function perform(it: Pair, voice: Voice, [call, taken]: readonly [Call, Call], s: Step): void {
  if (s.do === 'say') return voice.say(s.messages);
  const { sip } = it.inside;
  const { h323 } = it.outside;
  if (s.do.startsWith('inner-')) {
    if (taken.sip!.state !== 'connected') return;
    if (s.do === 'inner-hold') return sip!.reinvite(taken.sip!, 'sendonly');
    if (s.do === 'inner-ask') return sip!.reinvite(taken.sip!, undefined);
    return sip!.refax(taken.sip!, s.do === 'inner-fax' ? 'instead' : undefined);
  }
  if (call.state === 'ended') return;
  if (s.do === 'hold') h323!.hold(call.h323!);
  else if (s.do === 'retrieve') h323!.retrieve(call.h323!);
  else h323!.mode(call.h323!, s.do === 'fax');
}

function stranger(options: { seed?: number; fastStart?: boolean }): Pair {
  const mode = { fastStart: options.fastStart ?? true, tunnelling: true };
  return pair(
    { protocol: 'h323', codecs, h323: { fax: true, ...mode }, gateway: mode },
    { protocol: 'sip', codecs },
    options.seed === undefined ? {} : { seed: options.seed },
  );
}

test(`${RUNS} calls with H.245 that nobody expects`, () => {
  const counts = new Map<string, number>();
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.boolean(),
      fc.array(fc.tuple(step, fc.oneof(fc.nat(10), fc.nat(200), fc.nat(6000))), {
        minLength: 1,
        maxLength: 16,
      }),
      (seed, fastStart, steps) => {
        const it = stranger({ seed, fastStart });
        const voice = new Voice(it);
        const calls = connected(it, it.outside, it.inside);
        for (const [s, wait] of steps) {
          perform(it, voice, calls, s);
          it.world.run(wait);
        }
        it.world.run(40_000);
        for (const [key, n] of it.world.termination.counts) counts.set(key, (counts.get(key) ?? 0) + n);
        for (const gateway of [it.world.termination, it.world.relay])
          for (const target of gateway.mediaTargets)
            assert.ok(
              target === '203.0.113.7' || target.startsWith('10.'),
              `${gateway.name} sends to ${target}`,
            );
        for (const target of it.world.termination.mediaTargets) assert.equal(target, '203.0.113.7');
        finish(it);
      },
    ),
    { numRuns: RUNS },
  );
  for (const seen of ['channel-not-capable', 'channel-unknown', 'channel-second', 'mode-refused', 'no-call'])
    assert.ok((counts.get(`h323Refused/${seen}`) ?? 0) > 0, `${seen} was met`);
  assert.ok((counts.get('faxes/originator') ?? 0) > RUNS / 10);
});

test('modes and capability sets without end: what reaches the PBX is held to a rate, and the call can be ended', () => {
  const it = stranger({});
  const voice = new Voice(it);
  const [call, taken] = connected(it, it.outside, it.inside);
  for (let i = 0; i < 600; i++) {
    it.outside.h323!.mode(call.h323!, i % 2 === 0);
    voice.say([
      request({
        choice: 'terminalCapabilitySet',
        value: { sequenceNumber: i % 256, protocolIdentifier: '0.0.8.245.0.7' },
      }),
    ]);
    it.world.run(50);
  }
  assert.ok(taken.sip!.modifiesSeen <= 52, `${taken.sip!.modifiesSeen} changes in 30 s`);
  it.world.run(5000);
  finish(it);
});

const proposal = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }) },
  {
    weight: 9,
    arbitrary: fc
      .record({
        number: channel,
        type: dataType,
        session: fc.constantFrom(0, 1, 1, 2, 3, 255),
        to: fc.option(address),
        reverse: fc.boolean(),
      })
      .map(({ number, type, session, to, reverse }) => {
        const multiplexParameters = {
          choice: 'h2250LogicalChannelParameters' as const,
          value: {
            sessionID: session,
            ...(to === null ? {} : { mediaChannel: to, mediaControlChannel: to }),
          },
        };
        return encodeFastStart({
          forwardLogicalChannelNumber: number,
          forwardLogicalChannelParameters: {
            dataType: reverse ? { choice: 'nullData', value: null } : type,
            multiplexParameters: reverse
              ? { choice: 'h2250LogicalChannelParameters', value: { sessionID: 0 } }
              : multiplexParameters,
          },
          ...(reverse ? { reverseLogicalChannelParameters: { dataType: type, multiplexParameters } } : {}),
        });
      }),
  },
);

test(`${RUNS} Setups that propose channels no terminal proposes`, () => {
  let answered = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.array(proposal, { maxLength: 12 }),
      fc.array(fc.tuple(step, fc.nat(3000)), { maxLength: 6 }),
      (seed, fastStart, steps) => {
        const it = stranger({ seed });
        const voice = new Voice(it, fastStart);
        const call = it.outside.call('601');
        it.world.run(3000);
        const taken = it.inside.calls().at(-1);
        if (taken?.state === 'connected' && call.state === 'connected') {
          answered++;
          for (const [s, wait] of steps) {
            perform(it, voice, [call, taken], s);
            it.world.run(wait);
          }
        }
        it.world.run(40_000);
        for (const target of it.world.termination.mediaTargets) assert.equal(target, '203.0.113.7');
        finish(it);
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(answered > RUNS / 4, `${answered} calls came of it`);
});
