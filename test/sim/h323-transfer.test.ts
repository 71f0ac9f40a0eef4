import assert from 'node:assert/strict';
import { test } from 'node:test';
import { H4502 } from '../../src/h323/asn1/h4502.ts';
import type { CTInitiateArg, CTSetupArg } from '../../src/h323/asn1/h4502-types.ts';
import {
  decodeSignalling,
  decodeSupplementary,
  encodeSignalling,
  encodeSupplementary,
} from '../../src/h323/messages.ts';
import { decodePer } from '../../src/h323/per/decode.ts';
import { encodePer } from '../../src/h323/per/encode.ts';
import {
  assertSound,
  type Call,
  connected,
  finish,
  type Pair,
  pair,
  type SideOptions,
} from './h323-world.ts';

/** Everybody answers at once, and the sound goes through both gateways. */
function transferred(it: Pair, outside: Call, inside: Call): Call {
  it.world.until(() => inside.state === 'ended', 15_000, 'the transfer');
  it.world.run(4000);
  const target = it.inside.calls().find((c) => c.number === '602');
  assert.ok(target !== undefined, 'the new party was called');
  assert.deepEqual([target.state, outside.state], ['connected', 'connected']);
  assertSound(it, outside, target);
  return target;
}

function over(it: Pair, outside: Call, target: Call): void {
  outside.end();
  it.world.until(() => target.state === 'ended', 5000, 'the end reaches the new party');
  finish(it);
  assert.equal(it.world.relay.cdrs.length, 2);
}

const MODES = [
  ['FastStart, tunnelled', { fastStart: true, tunnelling: true }],
  ['slow start, H.245 apart', { fastStart: false, tunnelling: false }],
] as const;

for (const [name, mode] of MODES) {
  const h323: SideOptions = { protocol: 'h323', h323: mode, gateway: mode };

  test(`REFER of a SIP PBX: its H.323 party outside is connected with the new number (${name})`, () => {
    for (const from of ['outside', 'inside'] as const) {
      const it = pair(h323, { protocol: 'sip' });
      const [call, taken] =
        from === 'outside' ? connected(it, it.outside, it.inside) : connected(it, it.inside, it.outside);
      const [outside, inside] = from === 'outside' ? [call, taken] : [taken, call];
      it.inside.sip!.refer(inside.sip!, '602');
      over(it, outside, transferred(it, outside, inside));
    }
  });

  test(`Facility callForwarded in an answered call: an H.323 PBX has the other party transferred (H.323 8.4.5, ${name})`, () => {
    for (const outer of [{ protocol: 'sip' }, h323] as const satisfies readonly SideOptions[]) {
      const it = pair(outer, h323);
      const [outside, inside] = connected(it, it.outside, it.inside);
      it.inside.h323!.command({ kind: 'forward', call: inside.h323!.ref, number: '602' });
      over(it, outside, transferred(it, outside, inside));
    }
  });
}

test('a transfer that fails leaves the H.323 party in its call, with sound', () => {
  const it = pair({ protocol: 'h323' }, { protocol: 'h323', h323: { answer: busyAt602 } });
  const [outside, inside] = connected(it, it.outside, it.inside);
  it.inside.h323!.command({ kind: 'forward', call: inside.h323!.ref, number: '602' });
  it.world.run(6000);
  assert.deepEqual([outside.state, inside.state], ['connected', 'connected']);
  assertSound(it, outside, inside);
  finish(it);
});

const busyAt602: NonNullable<NonNullable<SideOptions['h323']>['answer']> = (call, peer) => {
  if (call.number === '602') peer.command({ kind: 'release', call: call.ref, cause: 17 });
  else peer.accept(call);
};

const INITIATE = H4502.type<CTInitiateArg>('CTInitiateArg');
const SETUP = H4502.type<CTSetupArg>('CTSetupArg');

/**
 * A PBX with H.450.2: where the endpoint that plays it would say callForwarded in a Facility it says callTransferInitiate, with its own name for the
 * call with the third party; and it joins what comes with that name (the endpoint is shown a plain call).
 */
function consulting(it: Pair, callIdentity: string) {
  const seen: { readonly kind: string; readonly identity?: string }[] = [];
  const wish = { choice: 'clearCallIfAnyInvokePduNotRecognized', value: null } as const;
  it.inside.h323!.rewrite = (bytes, direction) => {
    const decoded = decodeSignalling(bytes);
    const uuie = decoded.ok ? decoded.value.uuie : undefined;
    if (!decoded.ok || uuie === undefined) return bytes;
    const { h323UuPdu } = uuie;
    const body = h323UuPdu.h323MessageBody;
    const rebuilt = (services: readonly Uint8Array[] | undefined, message = body): Uint8Array => {
      const { h4501SupplementaryService: _, ...pdu } = h323UuPdu;
      const more = services === undefined ? {} : { h4501SupplementaryService: services };
      return encodeSignalling(decoded.value.q931, { ...uuie, h323UuPdu: { ...pdu, ...more, h323MessageBody: message } }); // biome-ignore format: one message
    };
    if (direction === 'out') {
      if (body.choice !== 'facility' || body.value.reason.choice !== 'callForwarded') return bytes;
      const argument = encodePer(INITIATE, {
        callIdentity,
        reroutingNumber: { destinationAddress: body.value.alternativeAliasAddress ?? [] },
      });
      const opcode = { choice: 'local', value: 9 } as const;
      const service = encodeSupplementary({
        interpretationApdu: wish,
        serviceApdu: { choice: 'rosApdus', value: [{ choice: 'invoke', value: { invokeId: 5, opcode, argument } }] }, // biome-ignore format: one operation
      });
      const { alternativeAliasAddress: __, ...rest } = body.value;
      const reason = { choice: 'transportedInformation', value: null } as const;
      return rebuilt([service], { choice: 'facility', value: { ...rest, reason } });
    }
    for (const service of h323UuPdu.h4501SupplementaryService ?? []) {
      const read = decodeSupplementary(service);
      assert.ok(read.ok && read.value.message.serviceApdu.choice === 'rosApdus');
      for (const apdu of read.value.message.serviceApdu.value) {
        if (apdu.choice === 'invoke' && Number(apdu.value.opcode.value) === 10) {
          assert.equal(
            read.value.message.interpretationApdu?.choice,
            wish.choice,
            'nobody else is rung instead',
          );
          const setup = decodePer(SETUP, apdu.value.argument!);
          assert.ok(setup.ok);
          seen.push({ kind: body.choice, identity: setup.value.callIdentity });
        } else seen.push({ kind: apdu.choice });
      }
    }
    return h323UuPdu.h4501SupplementaryService === undefined ? bytes : rebuilt(undefined);
  };
  return seen;
}

for (const outer of ['sip', 'h323'] as const) {
  test(`callTransferInitiate with a call identity: the new call replaces the one that the PBX named (H.450.2 8.2, towards ${outer})`, () => {
    for (const [, mode] of MODES) {
      const it = pair({ protocol: outer }, { protocol: 'h323', h323: mode, gateway: mode });
      const [outside, inside] = connected(it, it.outside, it.inside);
      const seen = consulting(it, '77');
      it.inside.h323!.command({ kind: 'forward', call: inside.h323!.ref, number: '602' });
      const target = transferred(it, outside, inside);
      assert.deepEqual(seen, [{ kind: 'setup', identity: '77' }, { kind: 'returnResult' }]);
      const other = it.outside.call('603');
      it.world.until(() => other.state === 'connected', 5000, 'another call');
      assert.equal(seen.length, 2, 'other calls replace nothing');
      other.end();
      it.world.run(1000);
      outside.end();
      it.world.until(() => target.state === 'ended', 5000, 'the end reaches the new party');
      finish(it);
    }
  });
}

test('without a call identity nothing is replaced', () => {
  const it = pair({ protocol: 'sip' }, { protocol: 'h323' });
  const [outside, inside] = connected(it, it.outside, it.inside);
  const seen = consulting(it, '');
  it.inside.h323!.command({ kind: 'forward', call: inside.h323!.ref, number: '602' });
  over(it, outside, transferred(it, outside, inside));
  assert.deepEqual(seen, [{ kind: 'returnResult' }]);
});

test('callTransferInitiate with a call identity that fails: establishmentFailure, the call goes on with its sound, and the name is forgotten', () => {
  const it = pair({ protocol: 'sip' }, { protocol: 'h323', h323: { answer: busyAt602 } });
  const [outside, inside] = connected(it, it.outside, it.inside);
  const seen = consulting(it, '77');
  it.inside.h323!.command({ kind: 'forward', call: inside.h323!.ref, number: '602' });
  it.world.run(8000);
  assert.deepEqual(seen, [{ kind: 'setup', identity: '77' }, { kind: 'returnError' }]);
  assert.deepEqual([outside.state, inside.state], ['connected', 'connected']);
  assertSound(it, outside, inside);
  const other = it.outside.call('603');
  it.world.run(3000);
  assert.equal(seen.length, 2);
  other.end();
  finish(it);
});
