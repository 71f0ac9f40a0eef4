import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { H323UserInformation, SetupUUIE } from '../asn1/h225-types.ts';
import type { InterpretationApdu } from '../asn1/h4501-types.ts';
import { H4502 } from '../asn1/h4502.ts';
import type { CTInitiateArg, CTSetupArg } from '../asn1/h4502-types.ts';
import type { ROS } from '../asn1/x880-types.ts';
import { ENDPOINT_TYPE, H225_PROTOCOL } from '../identity.ts';
import { decodeSignalling, decodeSupplementary, encodeSignalling, encodeSupplementary } from '../messages.ts';
import { encodePer } from '../per/encode.ts';
import type { Q931Type } from '../q931.ts';
import { Net, Node } from '../test-network.test.ts';
import { User } from '../test-user.test.ts';
import { TpktFramer, tpktPacket } from '../tpkt.ts';

const PEER = { ip: '192.0.2.1', port: 40_001 };
const GUID = new Uint8Array(16).fill(7);
type Body = H323UserInformation['h323UuPdu']['h323MessageBody'];

const SETUP: SetupUUIE = {
  protocolIdentifier: H225_PROTOCOL,
  sourceInfo: ENDPOINT_TYPE,
  destinationAddress: [{ choice: 'dialledDigits', value: '200' }],
  activeMC: false,
  conferenceID: new Uint8Array(16).fill(9),
  conferenceGoal: { choice: 'create', value: null },
  callType: { choice: 'pointToPoint', value: null },
  callIdentifier: { guid: GUID },
};
const FACILITY: Body = {
  choice: 'facility',
  value: {
    protocolIdentifier: H225_PROTOCOL,
    callIdentifier: { guid: GUID },
    reason: { choice: 'transportedInformation', value: null },
  },
};

function service(apdus: readonly ROS[], interpretationApdu?: InterpretationApdu['choice']): Uint8Array {
  return encodeSupplementary({
    ...(interpretationApdu === undefined
      ? {}
      : { interpretationApdu: { choice: interpretationApdu, value: null } as InterpretationApdu }),
    serviceApdu: { choice: 'rosApdus', value: apdus },
  });
}

function invoke(opcode: number, argument?: Uint8Array, invokeId = 3): ROS {
  return {
    choice: 'invoke',
    value: {
      invokeId,
      opcode: { choice: 'local', value: opcode },
      ...(argument === undefined ? {} : { argument }),
    },
  };
}

function transferTo(number: string, callIdentity = ''): Uint8Array {
  const destinationAddress: CTInitiateArg['reroutingNumber']['destinationAddress'] =
    number === '' ? [] : [{ choice: 'dialledDigits', value: number }];
  return encodePer(H4502.type<CTInitiateArg>('CTInitiateArg'), {
    callIdentity,
    reroutingNumber: { destinationAddress },
  });
}

/** A call of a peer that writes its own messages, answered or not. */
function scene(options: { readonly answered?: boolean; readonly inSetup?: readonly Uint8Array[] } = {}) {
  const net = new Net(1);
  const node = new Node(net, { name: 'node', ip: '192.0.2.2', peers: [{ name: 'pbx', host: PEER.ip }] });
  const user = new User(node);
  user.answer = options.answered === false ? 'nothing' : 'connect';
  const raw = net.connect(PEER, node);
  const send = (type: Q931Type, body: Body, services: readonly Uint8Array[]): void =>
    raw.send(
      tpktPacket(
        encodeSignalling(
          { type, callReference: 5, fromDestination: false },
          {
            h323UuPdu: {
              h323MessageBody: body,
              h245Tunnelling: true,
              ...(services.length === 0 ? {} : { h4501SupplementaryService: services }),
            },
          },
        ),
      ),
    );
  send('setup', { choice: 'setup', value: SETUP }, options.inSetup ?? []);
  net.run(200);
  /** Message types that bore services, and the operations in them. */
  const heard = (): { readonly type: Q931Type; readonly apdu: ROS }[] => {
    const framer = new TpktFramer();
    return raw.received
      .flatMap((bytes) => framer.push(bytes))
      .flatMap((payload) => {
        const message = decodeSignalling(payload);
        assert.ok(message.ok);
        const services = message.value.uuie?.h323UuPdu.h4501SupplementaryService ?? [];
        return services.flatMap((bytes) => {
          const decoded = decodeSupplementary(bytes);
          assert.ok(decoded.ok && decoded.value.message.serviceApdu.choice === 'rosApdus');
          return decoded.value.message.serviceApdu.value.map((apdu) => ({
            type: message.value.q931.type,
            apdu,
          }));
        });
      });
  };
  const facility = (...services: Uint8Array[]): void => {
    send('facility', FACILITY, services);
    net.run(200);
  };
  return { net, node, facility, heard };
}

test('callTransferInitiate is asked of the user; success is a return result (H.450.2 8.2)', () => {
  const { net, node, facility, heard } = scene();
  facility(service([invoke(9, transferTo('602'))]));
  const [asked] = node.seen('transfer-asked');
  assert.equal(asked?.target.number, '602');
  assert.deepEqual(heard(), [], 'not before the user has answered');
  node.command({ kind: 'answer-transfer', call: asked!.call, accepted: true });
  net.run(100);
  assert.deepEqual(heard(), [{ type: 'facility', apdu: { choice: 'returnResult', value: { invokeId: 3 } } }]);
  node.command({ kind: 'answer-transfer', call: asked!.call, accepted: true });
  net.run(100);
  assert.equal(heard().length, 1, 'one answer');
});

test('a transfer that fails is a return error establishmentFailure (H.450.2)', () => {
  const { net, node, facility, heard } = scene();
  facility(service([invoke(9, transferTo('602'))]));
  node.command({ kind: 'answer-transfer', call: 1, accepted: false });
  net.run(100);
  const errorCode = { choice: 'local', value: 1006 };
  assert.deepEqual(heard()[0]?.apdu, { choice: 'returnError', value: { invokeId: 3, errorCode } });
  assert.equal(node.seen('released').length, 0, 'the call goes on');
});

test('callTransferInitiate with a call identity tells the user what the target calls it (H.450.2 8.2)', () => {
  const { node, facility } = scene();
  facility(service([invoke(9, transferTo('602', '12'))]));
  const [asked] = node.seen('transfer-asked');
  assert.deepEqual([asked?.target.number, asked?.consultation], ['602', '12']);
});

test('callTransferIdentify is not available here, abandoning it has no answer, and the call goes on (H.450.2 8.1)', () => {
  const { node, facility, heard } = scene();
  facility(service([invoke(7)]));
  const errorCode = { choice: 'local', value: 3 };
  assert.deepEqual(heard()[0]?.apdu, { choice: 'returnError', value: { invokeId: 3, errorCode } });
  facility(service([invoke(8)], 'discardAnyUnrecognizedInvokePdu'));
  assert.equal(heard().length, 1);
  assert.equal(node.counted('transfer-identify'), 1);
  assert.equal(node.seen('released').length, 0);
});

const SETUP_ARGUMENT = H4502.type<CTSetupArg>('CTSetupArg');

test('a call that comes of a transfer elsewhere is one as any other; one that is to replace a call is refused (H.450.2 8.3)', () => {
  const plain = encodePer(SETUP_ARGUMENT, { callIdentity: '' });
  const wish = 'clearCallIfAnyInvokePduNotRecognized';
  const { node, heard } = scene({ inSetup: [service([invoke(10, plain)], wish)] });
  assert.equal(node.seen('incoming').length, 1);
  assert.deepEqual(heard()[0]?.apdu, { choice: 'returnResult', value: { invokeId: 3 } });
  const joined = scene({
    inSetup: [service([invoke(10, encodePer(SETUP_ARGUMENT, { callIdentity: '77' }))], wish)],
  });
  assert.equal(joined.node.seen('incoming').length, 0);
  assert.deepEqual(joined.heard(), [
    {
      type: 'releaseComplete',
      apdu: { choice: 'returnError', value: { invokeId: 3, errorCode: { choice: 'local', value: 1005 } } },
    },
  ]);
});

test('a call of ours that is to replace one says so in its Setup, and takes the answer for its own (H.450.2 8.4)', () => {
  const net = new Net(1);
  const caller = new Node(net, {
    name: 'caller',
    ip: '192.0.2.1',
    peers: [{ name: 'pbx', host: '192.0.2.2' }],
  });
  const pbx = new Node(net, { name: 'pbx', ip: '192.0.2.2', peers: [{ name: 'caller', host: '192.0.2.1' }] });
  const user = new User(pbx);
  user.answer = 'connect';
  const party = { numberType: 'unknown', presentation: 'allowed', verified: false } as const;
  const call = (ref: number, consultation: string): void =>
    caller.command({
      kind: 'setup',
      call: ref,
      peer: 'pbx',
      caller: { number: '1', ...party },
      callee: { number: '2', ...party },
      hops: 10,
      capabilities: user.caps,
      consultation,
    });
  call(2, ''); // as if from elsewhere: with no name it replaces nothing
  net.run(2000);
  assert.equal(pbx.seen('incoming').length, 1);
  assert.equal(caller.counted('supplementary-stray'), 0);
  assert.equal(caller.counted('transfer-setup-refused'), 0);
  call(4, '77');
  net.run(2000);
  assert.equal(pbx.seen('incoming').length, 1, 'it gave no such name');
  assert.equal(caller.counted('supplementary-stray'), 0);
  assert.equal(caller.seen('released')[0]?.cause, 31);
});

const REFUSED = [['to nobody', transferTo(''), 1004, 'facility-no-alias']] as const;

for (const [name, argument, code, counted] of REFUSED) {
  test(`callTransferInitiate ${name}: return error ${code}, counted`, () => {
    const { node, facility, heard } = scene();
    facility(service([invoke(9, argument)]));
    assert.deepEqual(heard()[0]?.apdu, {
      choice: 'returnError',
      value: { invokeId: 3, errorCode: { choice: 'local', value: code } },
    });
    assert.equal(node.counted(counted), 1);
    assert.equal(node.seen('transfer-asked').length, 0);
  });
}

test('a second transfer while one is asked for, or one before the answer, is invalidCallState', () => {
  const again = scene();
  again.facility(service([invoke(9, transferTo('602'), 1), invoke(9, transferTo('603'), 2)]));
  assert.equal(again.node.seen('transfer-asked').length, 1);
  assert.deepEqual(again.heard()[0]?.apdu, {
    choice: 'returnError',
    value: { invokeId: 2, errorCode: { choice: 'local', value: 7 } },
  });
  const early = scene({ answered: false, inSetup: [service([invoke(9, transferTo('602'))])] });
  assert.deepEqual(early.heard(), [], 'no message of ours yet');
  early.net.run(2500);
  assert.deepEqual(
    early.heard().map((h) => [h.type, h.apdu.choice]),
    [['callProceeding', 'returnError']],
  );
});

test('an argument that is none is rejected as mistyped (X.880)', () => {
  const { facility, heard } = scene();
  facility(service([invoke(9, Uint8Array.of(255, 255))]));
  assert.deepEqual(heard()[0]?.apdu, {
    choice: 'reject',
    value: { invokeId: 3, problem: { choice: 'invoke', value: 2 } },
  });
});

test('an operation that is not known has the answer its sender wishes for; rejection by default (H.450.1 6.6)', () => {
  const rejected = { choice: 'reject', value: { invokeId: 3, problem: { choice: 'invoke', value: 1 } } };
  for (const wish of [undefined, 'rejectAnyUnrecognizedInvokePdu'] as const) {
    const { node, facility, heard } = scene();
    facility(service([invoke(19)], wish));
    assert.deepEqual(heard()[0]?.apdu, rejected);
    assert.equal(node.counted('supplementary-service'), 1);
  }
  const discard = scene();
  discard.facility(service([invoke(19)], 'discardAnyUnrecognizedInvokePdu'));
  assert.deepEqual(discard.heard(), []);
  assert.equal(discard.node.counted('supplementary-service'), 1);
  const clear = scene();
  clear.facility(service([invoke(19)], 'clearCallIfAnyInvokePduNotRecognized'));
  assert.equal(clear.node.seen('released')[0]?.cause, 29);
});

test('H.450.4 hold notifications are told and not answered', () => {
  const { node, facility, heard } = scene();
  facility(service([invoke(101)]));
  facility(service([invoke(102)]));
  assert.deepEqual(
    node.seen('notify').map((e) => e.notification),
    ['hold', 'retrieve'],
  );
  assert.deepEqual(heard(), []);
});

test('answers are bounded: services of a message, operations of a service, answers of a call', () => {
  const { node, facility, heard } = scene();
  const many = Array.from({ length: 20 }, (_, i) => invoke(19, undefined, i));
  facility(...Array.from({ length: 6 }, () => service(many)));
  assert.equal(heard().length, 32, 'four services with eight operations each');
  facility(service(many));
  assert.equal(heard().length, 32);
  assert.ok(node.counted('supplementary-flood') > 0);
  facility(Uint8Array.of(0xff, 0xff, 0xff));
  assert.equal(node.counted('supplementary-undecodable'), 1);
  assert.equal(node.seen('released').length, 0);
});

test('results, errors and rejects of operations we never invoked are counted, not answered', () => {
  const { node, facility, heard } = scene();
  facility(
    service([
      { choice: 'returnResult', value: { invokeId: 1 } },
      { choice: 'reject', value: { invokeId: 1, problem: { choice: 'general', value: 0 } } },
    ]),
  );
  assert.equal(node.counted('supplementary-stray'), 2);
  assert.deepEqual(heard(), []);
});
