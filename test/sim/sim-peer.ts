/** A SIP phone or PBX in memory: our endpoint under a script. Its SDP is built and read by hand. */

import type { Address } from '../../src/machine/address.ts';
import type { SipCommand, SipEvent, SipOutput } from '../../src/sip/contract.ts';
import { SipEndpoint } from '../../src/sip/endpoint.ts';
import type { SipRequest } from '../../src/sip/message.ts';
import { SeededRandom, simCrypto } from './random.ts';

export interface SimPeerOptions {
  readonly name: string;
  readonly address: Address;
  readonly gateway: Address;
  readonly seed: number;
  /** Decides what an incoming call does. Default: ring 100 ms, answer. */
  readonly answer?: (call: SimCall, request: SipRequest) => void;
  readonly credentials?: { readonly username: string; readonly password: string };
}

export interface SimCall {
  readonly session: number;
  readonly number: string;
  readonly direction: 'in' | 'out';
  state: 'calling' | 'ringing' | 'connected' | 'ended';
  /** Last SDP heard from the far end. */
  remoteSdp: string;
  endStatus: number;
  endCause: number | undefined;
  endedBy: string;
  modifyAccepted: number;
  modifyRefused: number;
  modifiesSeen: number;
  digits: string;
  lateOffer: boolean;
  direction_: string;
}

export class SimPeer {
  readonly options: SimPeerOptions;
  readonly endpoint: SipEndpoint;
  readonly calls: SimCall[] = [];
  readonly #bySession = new Map<number, SimCall>();
  #nextSession = 2;
  #sdpVersion = 1;
  /** Set by the world: schedules work in virtual time. */
  later: (ms: number, run: () => void) => void = () => undefined;
  now = 0;
  /** Whether the far end's modifications are taken. */
  acceptModify = true;

  constructor(options: SimPeerOptions) {
    this.options = options;
    const gateway = options.gateway;
    this.endpoint = new SipEndpoint({
      random: new SeededRandom(options.seed),
      crypto: simCrypto,
      decisions: {
        identify: ({ remote }) => (remote.ip === gateway.ip ? 'gateway' : undefined),
        authenticate: () => undefined,
      },
      limits: { transactions: 5000, sessions: 1000, connections: 10, connectionsPerSource: 10 },
    });
    const local = options.address;
    this.command({
      kind: 'configure',
      peers: [
        {
          name: 'gateway',
          host: gateway.ip,
          port: gateway.port,
          transport: 'udp',
          probeEveryMs: 0,
          ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
        },
      ],
      listeners: [{ name: 'udp', transport: 'udp', local, advertise: local }],
    });
  }

  command(command: SipCommand): void {
    this.endpoint.handle({ kind: 'command', command }, this.now);
  }

  /** Events are taken here; what is left for the network is returned. */
  poll(): SipOutput | undefined {
    for (;;) {
      const output = this.endpoint.poll();
      if (output === undefined) return undefined;
      if (output.kind === 'event') this.#event(output.event);
      else if (output.kind === 'open-stream') {
        this.endpoint.handle(
          { kind: 'stream-closed', connection: output.connection, reason: 'udp only' },
          this.now,
        );
      } else return output;
    }
  }

  call(number: string, options: { lateOffer?: boolean; from?: string; direction?: string } = {}): SimCall {
    const session = this.#nextSession;
    this.#nextSession += 2;
    const call = this.#enter(session, number, 'out');
    call.lateOffer = options.lateOffer ?? false;
    this.command({
      kind: 'invite',
      session,
      peer: 'gateway',
      parties: { from: { user: options.from ?? this.options.name, anonymous: false }, to: { user: number } },
      hops: 70,
      priority: false,
      ...(call.lateOffer ? {} : { body: this.sdp(call) }),
    });
    return call;
  }

  end(call: SimCall, q850 = 16, status = 486): void {
    this.command({ kind: 'end', session: call.session, q850, status });
  }

  ring(call: SimCall): void {
    if (call.state !== 'calling') return;
    call.state = 'ringing';
    this.command({ kind: 'provisional', session: call.session, status: 180 });
  }

  early(call: SimCall): void {
    if (call.state === 'ended' || call.state === 'connected') return;
    this.command({
      kind: 'provisional',
      session: call.session,
      status: 183,
      ...(call.lateOffer ? {} : { body: this.sdp(call) }),
    });
  }

  accept(call: SimCall): void {
    if (call.state === 'ended' || call.state === 'connected') return;
    call.state = 'connected';
    this.command({ kind: 'accept', session: call.session, body: this.sdp(call) });
  }

  reinvite(call: SimCall, direction: string): void {
    if (call.state !== 'connected') return;
    call.direction_ = direction;
    this.#sdpVersion++;
    this.command({ kind: 'reinvite', session: call.session, body: this.sdp(call) });
  }

  sdp(call: SimCall, formats = '0 8 101'): { contentType: string; bytes: Uint8Array } {
    const family = this.options.address.ip.includes(':') ? 'IP6' : 'IP4';
    const text = [
      'v=0',
      `o=${this.options.name} ${call.session + 1000} ${this.#sdpVersion} IN ${family} ${this.options.address.ip}`,
      's=sim',
      `c=IN ${family} ${this.options.address.ip}`,
      't=0 0',
      `m=audio ${20_000 + 2 * call.session} RTP/AVP ${formats}`,
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:101 0-15',
      'a=ptime:20',
      `a=${call.direction_}`,
      '',
    ].join('\r\n');
    return { contentType: 'application/sdp', bytes: Buffer.from(text) };
  }

  #enter(session: number, number: string, direction: 'in' | 'out'): SimCall {
    const call: SimCall = {
      session,
      number,
      direction,
      state: 'calling',
      remoteSdp: '',
      endStatus: 0,
      endCause: undefined,
      endedBy: '',
      modifyAccepted: 0,
      modifyRefused: 0,
      modifiesSeen: 0,
      digits: '',
      lateOffer: false,
      direction_: 'sendrecv',
    };
    this.calls.push(call);
    this.#bySession.set(session, call);
    return call;
  }

  #event(event: SipEvent): void {
    if (event.kind === 'incoming') {
      const call = this.#enter(event.session, event.request.uri.user, 'in');
      call.lateOffer = event.body === undefined;
      if (event.body !== undefined) call.remoteSdp = Buffer.from(event.body.bytes).toString();
      if (this.options.answer !== undefined) {
        this.options.answer(call, event.request);
        return;
      }
      this.ring(call);
      this.later(100, () => this.accept(call));
      return;
    }
    if (!('session' in event)) return;
    const call = this.#bySession.get(event.session);
    if (call === undefined) return;
    const body = 'body' in event && event.body !== undefined ? event.body : undefined;
    if (body !== undefined) call.remoteSdp = Buffer.from(body.bytes).toString();
    switch (event.kind) {
      case 'provisional':
        call.state = 'ringing';
        break;
      case 'answered':
        call.state = 'connected';
        if (event.needsAck)
          this.command({ kind: 'acknowledge', session: call.session, body: this.sdp(call) });
        break;
      case 'modify':
        call.modifiesSeen++;
        if (this.acceptModify)
          this.command({ kind: 'modify-accept', session: call.session, body: this.sdp(call) });
        else this.command({ kind: 'modify-refuse', session: call.session, status: 488 });
        break;
      case 'modify-accepted':
        call.modifyAccepted++;
        if (event.needsAck)
          this.command({ kind: 'acknowledge', session: call.session, body: this.sdp(call) });
        break;
      case 'modify-refused':
        call.modifyRefused++;
        break;
      case 'info-dtmf':
        call.digits += event.digit;
        break;
      case 'ended':
        call.state = 'ended';
        call.endStatus = event.status;
        call.endCause = event.q850;
        call.endedBy = event.by;
        this.#bySession.delete(event.session);
        break;
      default:
        break;
    }
  }
}
