/** Not a test: one endpoint and a raw peer that writes its own messages. */
import assert from 'node:assert/strict';
import { Net, Node, type NodeOptions, type RawPeer, sdp } from './test-network.test.ts';

export const PEER = '192.0.2.9';

/** One endpoint at 192.0.2.1 and a raw peer at 192.0.2.9, called `raw` in its configuration. */
export function stage(options: Partial<NodeOptions> = {}): { net: Net; gw: Node; raw: RawPeer } {
  const net = new Net(3);
  const gw = new Node(net, { name: 'gw', ip: '192.0.2.1', peers: [{ name: 'raw', host: PEER }], ...options });
  return { net, gw, raw: net.peer(PEER) };
}

let unique = 0;

export interface Parts {
  readonly uri?: string;
  readonly branch?: string;
  readonly callId?: string;
  readonly from?: string;
  readonly to?: string;
  readonly cseq?: string;
  readonly via?: string;
  readonly maxForwards?: number;
  readonly headers?: readonly string[];
  readonly type?: string;
  readonly body?: string;
}

export function request(method: string, parts: Parts = {}): string {
  unique++;
  const { body = '', headers = [] } = parts;
  return [
    `${method} ${parts.uri ?? 'sip:200@192.0.2.1'} SIP/2.0`,
    parts.via ?? `Via: SIP/2.0/UDP ${PEER}:5060;branch=${parts.branch ?? `z9hG4bKraw${unique}`};rport`,
    `Max-Forwards: ${parts.maxForwards ?? 70}`,
    `From: <sip:300@${PEER}>;tag=${parts.from ?? `raw${unique}`}`,
    `To: <sip:200@192.0.2.1>${parts.to === undefined ? '' : `;tag=${parts.to}`}`,
    `Call-ID: ${parts.callId ?? `call${unique}`}`,
    `CSeq: ${parts.cseq ?? `1 ${method}`}`,
    `Contact: <sip:300@${PEER}>`,
    ...headers,
    ...(body === '' ? [] : [`Content-Type: ${parts.type ?? 'application/sdp'}`]),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

export const status = (text: string): number => Number(/^SIP\/2\.0 (\d+)/.exec(text)?.[1] ?? 0);
export const header = (text: string, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1]?.trim();
export const toTag = (text: string): string => /;tag=(\S+)/.exec(header(text, 'To') ?? '')?.[1] ?? '';

/** A response by a raw peer to a request of the gateway. */
export function respond(
  text: string,
  code: number,
  tag: string,
  headers: readonly string[] = [],
  body = '',
): string {
  const line = (name: string): string => `${name}: ${header(text, name)}`;
  const to = header(text, 'To')!;
  return [
    `SIP/2.0 ${code} Whatever`,
    line('Via'),
    line('From'),
    `To: ${to.includes(';tag=') || tag === '' ? to : `${to};tag=${tag}`}`,
    line('Call-ID'),
    line('CSeq'),
    ...headers,
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

/** An incoming call of the raw peer, answered. */
export function answered(options: Partial<NodeOptions> = {}, parts: Parts = {}) {
  const made = stage(options);
  const { net, gw, raw } = made;
  const call = { callId: 'c1', from: 'f1' };
  const text = request('INVITE', { ...call, body: 'offer', ...parts });
  net.send(raw, gw, text);
  net.run(10);
  gw.command({ kind: 'accept', session: 1, body: sdp('answer') });
  net.run(10);
  const ok = raw.received.at(-1)!.text;
  const inside = { ...call, to: toTag(ok) };
  net.send(raw, gw, request('ACK', { ...inside, cseq: '1 ACK' }));
  net.run(10);
  assert.equal(gw.seen('acknowledged').length, 1);
  raw.received.length = 0;
  return { ...made, inside, ok };
}
