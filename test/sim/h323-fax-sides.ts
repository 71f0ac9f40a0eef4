/** Sides with fax, and what must hold where a call is one. */
import assert from 'node:assert/strict';
import type { Call, Pair, Phone, SideOptions } from './h323-world.ts';
import { terminationConfig } from './sim-config.ts';
import type { SimGateway } from './sim-gateway.ts';
import { faxPort } from './sim-peer.ts';

const codecs = [...terminationConfig().media.codecs, 'T38' as const];

/** A side that may have fax. `fax`: what an H.323 phone has of it. */
export function faxSide(
  protocol: 'sip' | 'h323',
  mode: object = {},
  fax: boolean | 'only' = true,
): SideOptions {
  return protocol === 'sip'
    ? { protocol, codecs }
    : { protocol, codecs, h323: { fax, ...mode }, gateway: mode };
}

/** What a phone was told of the fax, and where it receives it. */
function faxOf(phone: Phone, call: Call) {
  if (phone.sip !== undefined) {
    const port = faxPort(call.sip!.remoteSdp);
    return {
      told: port,
      receives: { ip: phone.sip.options.address.ip, port: phone.sip.mediaPort(call.sip!) },
    };
  }
  return { told: call.h323!.faxSend?.remote?.rtp.port, receives: phone.h323!.faxAddress };
}

/** Both gateways have one stream, a fax, between what the two phones were told and where they are; no sound beside it. */
export function assertFax(it: Pair, outside: Call, inside: Call): void {
  const leg = (phone: Phone, gateway: SimGateway, call: Call) => {
    const streams = [...gateway.openStreams.values()];
    assert.deepEqual(
      streams.map((s) => [s.kind, s.direction]),
      [['image', 'sendrecv']],
      gateway.name,
    );
    const { told, receives } = faxOf(phone, call);
    assert.equal(streams[0]!.local.port, told, `${gateway.name} listens where the phone sends`);
    assert.deepEqual(streams[0]!.remote, receives, gateway.name);
    if (call.h323 !== undefined) {
      assert.ok(call.h323.faxReceive !== undefined, 'a channel each way');
      assert.deepEqual([call.h323.send, call.h323.receive], [undefined, undefined], 'and none for sound');
      assert.equal(streams[0]!.formats[0]!.udptl!.maxDatagramOut, 120);
    }
    return streams[0]!;
  };
  const near = leg(it.outside, it.outside.gateway, outside);
  const far = leg(it.inside, it.inside.gateway, inside);
  assert.equal(near.stream, far.stream);
  assert.equal(near.formats[0]!.format, far.formats[0]!.format, 'both mean the same format');
}

/** A phone makes a fax of the call, or speech of the fax. */
export function change(phone: Phone, call: Call, fax: boolean): void {
  if (phone.sip !== undefined) phone.sip.refax(call.sip!, fax ? 'instead' : undefined);
  else phone.h323!.mode(call.h323!, fax);
}
