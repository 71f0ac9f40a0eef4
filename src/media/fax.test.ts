import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Format, FormatParameter } from '../meta/message.ts';
import { faxPlaneFormat } from './fax.ts';

const format = (parameters: readonly FormatParameter[]): Format => ({
  id: 3,
  name: 'T38',
  clockRate: 0,
  channels: 1,
  parameters,
});

test('what the far end was told bounds what it may send, what it said bounds what it is sent', () => {
  const limits = faxPlaneFormat(format([{ name: 't38-max-datagram', value: '1000' }]), [
    { name: 't38-max-datagram', value: '238' },
    { name: 't38-udp-ec', value: 't38UDPRedundancy' },
  ]).udptl!;
  assert.deepEqual([limits.maxDatagramIn, limits.maxDatagramOut, limits.redundancy], [1000, 238, 3]);
});

test('a sender told less than 400 octets may exceed it with repetitions; nobody may exceed what UDP carries whole', () => {
  const told = (value: string): number =>
    faxPlaneFormat(format([{ name: 't38-max-datagram', value }])).udptl!.maxDatagramIn;
  assert.deepEqual([told('72'), told('400'), told('900'), told('65535')], [400, 400, 900, 1400]);
});

test('the octets of a second follow the faster of both bit rates, 14 400 at least and V.34 at most', () => {
  const rate = (own: string, far: string): number =>
    faxPlaneFormat(format([{ name: 't38-bitrate', value: own }]), [{ name: 't38-bitrate', value: far }])
      .udptl!.maxBytesPerSecond;
  assert.equal(rate('9600', '9600'), rate('14400', '14400'));
  assert.equal(rate('9600', '33600') - rate('14400', '14400'), (5 * (33_600 - 14_400)) / 8);
  assert.equal(rate('9600', '999999'), rate('33600', '33600'));
});

test('no repetitions for a far end that says it wants none', () => {
  const repeated = (value: string): number =>
    faxPlaneFormat(format([]), [{ name: 't38-udp-ec', value }]).udptl!.redundancy;
  assert.deepEqual(['t38UDPNoEC', 't38UDPRedundancy', 't38UDPFEC'].map(repeated), [0, 3, 3]);
});
