import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '../bytes/text.ts';
import type { H323UserInformation } from './asn1/h225-types.ts';
import type { MultimediaSystemControlMessage } from './asn1/h245-types.ts';
import { H4502 } from './asn1/h4502.ts';
import type { CTInitiateArg } from './asn1/h4502-types.ts';
import {
  decodeFastStart,
  decodeH245,
  decodeRas,
  decodeSignalling,
  decodeSupplementary,
  encodeFastStart,
  encodeH245,
  encodeRas,
  encodeSignalling,
  encodeSupplementary,
  messageErrorText,
  tunnelledH245,
} from './messages.ts';
import { decodePer } from './per/decode.ts';
import { encodePer } from './per/encode.ts';
import type { Q931Message } from './q931.ts';

const GUID = fromHex('000102030405060708090a0b0c0d0e0f')!;
const ALERTING: Q931Message = { type: 'alerting', callReference: 77, fromDestination: true, display: 'B' };

const msd: MultimediaSystemControlMessage = {
  choice: 'request',
  value: {
    choice: 'masterSlaveDetermination',
    value: { terminalType: 60, statusDeterminationNumber: 5 },
  },
};
const digit: MultimediaSystemControlMessage = {
  choice: 'indication',
  value: { choice: 'userInput', value: { choice: 'alphanumeric', value: '5' } },
};

function alerting(h245Control: readonly Uint8Array[]): H323UserInformation {
  return {
    h323UuPdu: {
      h323MessageBody: {
        choice: 'alerting',
        value: {
          protocolIdentifier: '0.0.8.2250.0.4',
          destinationInfo: { gateway: {}, mc: false, undefinedNode: false },
          callIdentifier: { guid: GUID },
        },
      },
      h245Tunnelling: true,
      h245Control,
    },
  };
}

test('call signalling: Q.931 around a UUIE with several tunnelled H.245 messages', () => {
  const uuie = alerting([encodeH245(msd), encodeH245(digit)]);
  const decoded = decodeSignalling(encodeSignalling(ALERTING, uuie));
  assert.ok(decoded.ok, JSON.stringify(decoded));
  assert.deepEqual(decoded.value.uuie, uuie);
  assert.equal(decoded.value.q931.display, 'B');
  assert.equal(decoded.value.unknown, 0);
  assert.deepEqual(
    tunnelledH245(uuie).map((r) => r.ok && r.value.message),
    [msd, digit],
  );
});

test('one tunnelled message that is none does not hide the others', () => {
  const results = tunnelledH245(alerting([fromHex('ffff')!, encodeH245(digit)]));
  assert.deepEqual(
    results.map((r) => r.ok),
    [false, true],
  );
});

test('a message without User-user element has no UUIE', () => {
  const decoded = decodeSignalling(encodeSignalling({ ...ALERTING, type: 'status' }, undefined));
  assert.ok(decoded.ok);
  assert.equal(decoded.value.uuie, undefined);
});

test('errors name their layer, and their text no value of the message', () => {
  const octets = encodeSignalling(ALERTING, alerting([]));
  const short = decodeSignalling(octets.subarray(0, octets.length - 1));
  assert.ok(!short.ok && short.error.layer === 'q931');
  assert.equal(messageErrorText(short.error), 'q931 truncated at octet 8');
  const wrong = decodeSignalling(encodeSignalling(ALERTING, alerting([])).fill(0x55, 13));
  assert.ok(!wrong.ok && wrong.error.layer === 'per');
  assert.match(messageErrorText(wrong.error), /^\w+ at bit \d+ of H323-UserInformation/);
});

test('RAS: notes vector ras-bcf', () => {
  const decoded = decodeRas(fromHex('340000400500')!);
  assert.ok(decoded.ok);
  assert.deepEqual(decoded.value.message, {
    choice: 'bandwidthConfirm',
    value: { requestSeqNum: 1, bandWidth: 1280 },
  });
  assert.equal(toHex(encodeRas(decoded.value.message)), '340000400500');
});

test('a fast start element is an OpenLogicalChannel', () => {
  const hex = '0003e90c6013800a040001007f00000b4e63';
  const decoded = decodeFastStart(fromHex(hex)!);
  assert.ok(decoded.ok);
  assert.equal(decoded.value.message.forwardLogicalChannelNumber, 1002);
  assert.deepEqual(decoded.value.message.forwardLogicalChannelParameters.dataType, {
    choice: 'audioData',
    value: { choice: 'g711Ulaw64k', value: 20 },
  });
  assert.equal(toHex(encodeFastStart(decoded.value.message)), hex);
});

test('an H.245 message of a later edition is unknown, not refused', () => {
  const decoded = decodeH245(fromHex('8502aabb')!);
  assert.ok(decoded.ok);
  assert.equal(decoded.value.unknown, 1);
  assert.deepEqual(decoded.value.message, {
    choice: 'unknown',
    value: { index: 5, bytes: fromHex('aabb')! },
  });
});

test('H.450.1: call transfer initiate (H.450.2, local operation 9) in its ROS invoke', () => {
  const type = H4502.type<CTInitiateArg>('CTInitiateArg');
  const argument: CTInitiateArg = {
    callIdentity: '12',
    reroutingNumber: { destinationAddress: [{ choice: 'dialledDigits', value: '602' }] },
  };
  const service = encodeSupplementary({
    serviceApdu: {
      choice: 'rosApdus',
      value: [
        {
          choice: 'invoke',
          value: { invokeId: 1, opcode: { choice: 'local', value: 9 }, argument: encodePer(type, argument) },
        },
      ],
    },
  });
  const decoded = decodeSupplementary(service);
  assert.ok(decoded.ok);
  const [ros] = decoded.value.message.serviceApdu.value as readonly { choice: string; value: unknown }[];
  assert.equal(ros?.choice, 'invoke');
  const invoke = ros.value as { argument: Uint8Array; opcode: unknown };
  assert.deepEqual(invoke.opcode, { choice: 'local', value: 9 });
  assert.deepEqual(decodePer(type, invoke.argument), { ok: true, value: argument });
});
