/** Captured peers as scripts: their side of a capture is played to our endpoint, with what only a live peer could know put in. */

import type { H323UserInformation } from '../../src/h323/asn1/h225-types.ts';
import type { MultimediaSystemControlMessage } from '../../src/h323/asn1/h245-types.ts';
import type { Signalling } from '../../src/h323/messages.ts';
import { decodeH245, decodeSignalling, encodeH245, encodeSignalling } from '../../src/h323/messages.ts';
import type { Net, Node } from '../../src/h323/test-network.test.ts';
import { TpktFramer, tpktPacket } from '../../src/h323/tpkt.ts';
import { readCapture, TCP } from '../lab/packets.ts';
import { CAPTURES } from './reference.ts';

export const CALLER = '127.0.0.11';
export const CALLEE = '127.0.0.12';

export interface Step {
  readonly fromCaller: boolean;
  readonly signalling: boolean;
  readonly payload: Uint8Array;
}

/** The TCP messages of one call between `caller` and `callee` in the order of the capture. */
export function stepsOf(name: string, caller = CALLER, callee = CALLEE): Step[] {
  const framers = new Map<string, TpktFramer>();
  const next = new Map<string, number>();
  const steps: Step[] = [];
  for (const p of readCapture(`${CAPTURES}pcap/${name}.pcap`)) {
    if (p.protocol !== TCP || p.payload.length === 0 || p.sequence === undefined) continue;
    const fromCaller = p.source === caller && p.destination === callee;
    if (!fromCaller && !(p.source === callee && p.destination === caller)) continue;
    const flow = `${p.source} ${p.sourcePort} ${p.destination} ${p.destinationPort}`;
    if (next.has(flow) && next.get(flow) !== p.sequence) continue; // sent again
    next.set(flow, (p.sequence + p.payload.length) >>> 0);
    const framer = framers.get(flow) ?? new TpktFramer();
    framers.set(flow, framer);
    const signalling = p.sourcePort === 1720 || p.destinationPort === 1720;
    for (const payload of framer.push(p.payload)) {
      steps.push({ fromCaller, signalling, payload: payload.slice() });
    }
  }
  return steps;
}

type Body = H323UserInformation['h323UuPdu']['h323MessageBody'];

/** What the scripted peer has heard from us and must repeat. */
export interface Heard {
  callReference: number;
  callIdentifier: Uint8Array | undefined;
  /** Our port for H.245. */
  port: number | undefined;
  channel: number | undefined;
  closed: number | undefined;
  capabilitySet: number | undefined;
  readonly control: MultimediaSystemControlMessage[];
  readonly signalling: Signalling[];
}

export function newHeard(): Heard {
  return {
    callReference: 0,
    callIdentifier: undefined,
    port: undefined,
    channel: undefined,
    closed: undefined,
    capabilitySet: undefined,
    control: [],
    signalling: [],
  };
}

export function hearSignalling(heard: Heard, payload: Uint8Array): void {
  const decoded = decodeSignalling(payload);
  if (!decoded.ok) throw new Error('we sent what cannot be read');
  heard.signalling.push(decoded.value);
  const { q931, uuie } = decoded.value;
  heard.callReference = q931.callReference;
  const pdu = uuie?.h323UuPdu;
  const fields = pdu?.h323MessageBody.value as
    | { callIdentifier?: { guid: Uint8Array }; h245Address?: { value: { port: number } } }
    | null
    | undefined;
  heard.callIdentifier ??= fields?.callIdentifier?.guid;
  heard.port = fields?.h245Address?.value.port ?? heard.port;
  for (const bytes of pdu?.h245Control ?? []) hearControl(heard, bytes);
}

export function hearControl(heard: Heard, bytes: Uint8Array): void {
  const decoded = decodeH245(bytes);
  if (!decoded.ok) throw new Error('we sent what cannot be read');
  const { message } = decoded.value;
  heard.control.push(message);
  if (message.choice !== 'request') return;
  const { value: request } = message;
  if (request.choice === 'openLogicalChannel') heard.channel = request.value.forwardLogicalChannelNumber;
  if (request.choice === 'closeLogicalChannel') heard.closed = request.value.forwardLogicalChannelNumber;
  if (request.choice === 'terminalCapabilitySet') heard.capabilitySet = request.value.sequenceNumber;
}

/** Answers to our requests bear our numbers. */
function fitControl(heard: Heard, bytes: Uint8Array): Uint8Array {
  const decoded = decodeH245(bytes);
  if (!decoded.ok) return bytes;
  const { message } = decoded.value;
  if (message.choice !== 'response') return bytes;
  const { value: response } = message;
  switch (response.choice) {
    case 'openLogicalChannelAck':
    case 'openLogicalChannelReject':
      return again({
        ...response,
        value: { ...response.value, forwardLogicalChannelNumber: heard.channel ?? 1 },
      });
    case 'closeLogicalChannelAck':
      return again({
        ...response,
        value: { ...response.value, forwardLogicalChannelNumber: heard.closed ?? 1 },
      });
    case 'terminalCapabilitySetAck':
      return again({ ...response, value: { sequenceNumber: heard.capabilitySet ?? 1 } });
    default:
      return bytes;
  }
}

function again(value: object): Uint8Array {
  return encodeH245({ choice: 'response', value } as MultimediaSystemControlMessage);
}

function fitSignalling(heard: Heard, payload: Uint8Array, asCallee: boolean): Uint8Array {
  const decoded = decodeSignalling(payload);
  if (!decoded.ok) return payload;
  const { q931, uuie } = decoded.value;
  const pdu = uuie?.h323UuPdu;
  if (pdu === undefined) return payload;
  if (!asCallee && pdu.h245Control === undefined) return payload;
  const body = pdu.h323MessageBody;
  const own =
    asCallee && body.value !== null && body.choice !== 'unknown'
      ? ({
          choice: body.choice,
          value: { ...body.value, callIdentifier: { guid: heard.callIdentifier } },
        } as Body)
      : body;
  const control = pdu.h245Control?.map((bytes) => fitControl(heard, bytes));
  return encodeSignalling(asCallee ? { ...q931, callReference: heard.callReference } : q931, {
    ...uuie,
    h323UuPdu: {
      ...pdu,
      h323MessageBody: own,
      ...(control === undefined ? {} : { h245Control: control }),
    },
  });
}

/** Plays the caller's side to `node`, which is the callee. Returns what we said. */
export function playCaller(net: Net, node: Node, steps: readonly Step[], from = CALLER): Heard {
  const heard = newHeard();
  const framer = new TpktFramer();
  const controlFramer = new TpktFramer();
  const connection = net.connect({ ip: from, port: 40_000 }, node);
  let control: ReturnType<Net['connect']> | undefined;
  let read = 0;
  let readControl = 0;
  const listen = (): void => {
    net.run(60);
    for (; read < connection.received.length; read++) {
      for (const payload of framer.push(connection.received[read]!)) hearSignalling(heard, payload);
    }
    for (; control !== undefined && readControl < control.received.length; readControl++) {
      for (const payload of controlFramer.push(control.received[readControl]!)) hearControl(heard, payload);
    }
  };
  listen();
  for (const step of steps) {
    if (!step.fromCaller) continue;
    if (step.signalling) connection.send(tpktPacket(fitSignalling(heard, step.payload, false)));
    else {
      if (control === undefined) {
        if (heard.port === undefined) throw new Error('we told no H.245 address');
        control = net.connect({ ip: from, port: 40_002 }, node, heard.port);
        listen();
      }
      control.send(tpktPacket(fitControl(heard, step.payload)));
    }
    listen();
  }
  connection.close();
  control?.close();
  return heard;
}

/** Plays the callee's side of a capture to `node`, which calls: each message in its turn, whatever we say. */
export function playCallee(net: Net, steps: readonly Step[], ip = CALLEE): Heard {
  const heard = newHeard();
  const framer = new TpktFramer();
  const raw = net.peer(ip, 1720);
  let begun = false;
  raw.on = (bytes, _from, connection): void => {
    for (const payload of framer.push(bytes)) hearSignalling(heard, payload);
    if (begun || heard.signalling.length === 0) return;
    begun = true;
    const script = steps.filter((step) => !step.fromCaller && step.signalling);
    for (const [i, step] of script.entries()) {
      net.at(60 * (i + 1), () => connection?.send(tpktPacket(fitSignalling(heard, step.payload, true))));
    }
  };
  return heard;
}
