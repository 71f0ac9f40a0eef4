/** A SIP phone or PBX in memory: our endpoint under a script. Its SDP is built and read by hand. */
import type { Address } from '../../src/machine/address.ts';
import { SeededRandom } from '../../src/machine/seeded-random.test.ts';
import { systemCrypto } from '../../src/net/providers.ts';
import type { SipBody, SipCommand, SipEvent, SipOutput } from '../../src/sip/contract.ts';
import { SipEndpoint } from '../../src/sip/endpoint.ts';
import type { SipRequest } from '../../src/sip/message.ts';
import { describePictures, type PictureCodec, pictureLine } from './sim-pictures.ts';

export interface SimPeerOptions {
  readonly name: string;
  readonly address: Address;
  readonly gateway: Address;
  readonly seed: number;
  readonly mediaPort: number;
  /** Default '0 8 101'. */
  readonly formats?: string;
  /** Has video besides. */
  readonly video?: PictureCodec;
  /** Address in the SDP where it is not the peer's own: behind NAT. */
  readonly mediaIp?: string;
  /** Decides what an incoming call does. Default: ring 100 ms, answer. */
  readonly answer?: (call: SimCall, request: SipRequest, peer: SimPeer) => void;
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
  /** 183 heard or 180: the statuses seen. */
  provisionals: number[];
  /** Payload types offered by us, in order of preference. */
  formats: string;
  /** Direction of our descriptions. */
  media: string;
  /** Whether the far end's last description was an offer. */
  remoteOffer: boolean;
  /** Speech where undefined. */
  fax: FaxPlace | undefined;
  /** The fax's line stays in our descriptions, refused. */
  hadFaxLine: boolean;
  /** What NOTIFYs said about our REFER. */
  referStatuses: number[];
  /** Numbers the far end's REFERs named. */
  referredTo: string[];
}

/** Our description is a fax's: in the place of the sound, beside it (the sound's port being 0), or both for the other side to choose. */
export type FaxPlace = 'instead' | 'beside' | 'both';

export const FAX_ATTRIBUTES = [
  'a=T38FaxVersion:0',
  'a=T38MaxBitRate:14400',
  'a=T38FaxRateManagement:transferredTCF',
  'a=T38FaxMaxBuffer:1024',
  'a=T38FaxMaxDatagram:238',
  'a=T38FaxUdpEC:t38UDPRedundancy',
];

/** Port of the fax that a description is of; 0: it is of none. */
export function faxPort(sdp: string): number {
  return Number(/^m=image ([1-9]\d*) udptl t38\r?$/m.exec(sdp)?.[1] ?? 0);
}

export interface HeardMedia {
  readonly ip: string;
  readonly port: number;
  readonly types: readonly string[];
  /** Payload type of telephone events. */
  readonly events: string | undefined;
  readonly direction: string;
}

/** The first stream of a description, read by hand. */
export function describe(sdp: string): HeardMedia {
  const audio = /^m=audio (\d+) \S+ ([\d ]+)\r?$/m.exec(sdp);
  const direction = /^a=(sendrecv|sendonly|recvonly|inactive)\r?$/m.exec(sdp)?.[1] ?? 'sendrecv';
  return {
    ip: /^c=IN IP[46] (\S+)\r?$/m.exec(sdp)?.[1] ?? '',
    port: Number(audio?.[1] ?? 0),
    types: (audio?.[2] ?? '').trim().split(' '),
    events: /^a=rtpmap:(\d+) telephone-event/m.exec(sdp)?.[1],
    direction,
  };
}

/** RFC 3264 6.1: what we send is what they receive and want. */
function answerTo(offered: string, own: string): string {
  const send = ['sendrecv', 'recvonly'].includes(offered) && ['sendrecv', 'sendonly'].includes(own);
  const receive = ['sendrecv', 'sendonly'].includes(offered) && ['sendrecv', 'recvonly'].includes(own);
  return send ? (receive ? 'sendrecv' : 'sendonly') : receive ? 'recvonly' : 'inactive';
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
  /** Whether the far end's modifications are taken, and those to a fax. */
  acceptModify = true;
  takesFax: boolean | 'as-speech' | 'never-answers' = true;

  constructor(options: SimPeerOptions) {
    this.options = options;
    const gateway = options.gateway;
    this.endpoint = new SipEndpoint({
      random: new SeededRandom(options.seed),
      crypto: systemCrypto,
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
          mayRefer: true,
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

  call(
    number: string,
    options: { lateOffer?: boolean; from?: string; formats?: string; hops?: number; fax?: FaxPlace } = {},
  ): SimCall {
    const session = this.#nextSession;
    this.#nextSession += 2;
    const call = this.#enter(session, number, 'out');
    call.lateOffer = options.lateOffer ?? false;
    call.formats = options.formats ?? call.formats;
    call.fax = options.fax;
    this.command({
      kind: 'invite',
      session,
      peer: 'gateway',
      parties: { from: { user: options.from ?? this.options.name, anonymous: false }, to: { user: number } },
      hops: options.hops ?? 70,
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
    const body = call.lateOffer ? {} : { body: this.sdp(call) };
    this.command({ kind: 'provisional', session: call.session, status: 183, ...body });
  }

  accept(call: SimCall): void {
    if (call.state === 'ended' || call.state === 'connected') return;
    call.state = 'connected';
    this.command({ kind: 'accept', session: call.session, body: this.sdp(call) });
  }

  reject(call: SimCall, status: number, more: { q850?: number; retryAfterSeconds?: number } = {}): void {
    if (call.state === 'ended') return;
    this.command({ kind: 'reject', session: call.session, status, ...more });
  }

  /** `direction` undefined: without a description, the far end shall offer. */
  reinvite(call: SimCall, direction: string | undefined, formats = call.formats): void {
    if (call.state !== 'connected') return;
    this.#sdpVersion++;
    call.remoteOffer = false;
    if (direction === undefined) {
      this.command({ kind: 'reinvite', session: call.session });
      return;
    }
    call.media = direction;
    call.formats = formats;
    this.command({ kind: 'reinvite', session: call.session, body: this.sdp(call) });
  }

  /** Offers a fax, or speech again. */
  refax(call: SimCall, place: FaxPlace | undefined): void {
    call.fax = place;
    this.reinvite(call, 'sendrecv');
  }

  refer(call: SimCall, number: string): void {
    this.command({ kind: 'refer', session: call.session, user: number });
  }

  /** Tells who referred us how it goes. */
  notify(call: SimCall, status: number, final: boolean): void {
    this.command({ kind: 'notify-refer', session: call.session, status, final });
  }

  digit(call: SimCall, digit: string): void {
    this.command({ kind: 'info-dtmf', session: call.session, digit, durationMs: 160 });
  }

  mediaPort(call: SimCall): number {
    return this.options.mediaPort + 2 * call.session;
  }

  picturePort(call: SimCall): number {
    return this.mediaPort(call) + 1000;
  }

  /** Offer, or answer to what the far end has offered. */
  sdp(call: SimCall): { contentType: string; bytes: Uint8Array } {
    if (this.takesFax === 'never-answers' && call.remoteOffer) {
      const { contentType, bytes } = this.#speech(call);
      const none = Buffer.from(bytes)
        .toString()
        .replace(/^m=audio \d+/m, 'm=audio 0');
      return { contentType, bytes: Buffer.from(none) };
    }
    if (this.takesFax === 'as-speech' && call.remoteOffer && faxPort(call.remoteSdp) > 0) {
      call.remoteOffer = false; // it reads no further than the first line it knows
      return this.#speech(call);
    }
    if (call.remoteOffer) {
      const lines = [...call.remoteSdp.matchAll(/^m=(\w+) /gm)].map(([, type]) => type);
      call.fax = faxPort(call.remoteSdp) === 0 ? undefined : lines.length > 1 ? 'beside' : 'instead';
      call.hadFaxLine = lines.length > 1 && lines.includes('image');
    }
    // RFC 3264 8: a line is never taken away.
    if (call.fax === 'instead' && call.hadFaxLine) call.fax = 'beside';
    if (call.fax === 'beside' || call.fax === 'both') call.hadFaxLine = true;
    const { contentType, bytes } = this.#speech(call);
    const [head, sound] = Buffer.from(bytes)
      .toString()
      .split(/(?=^m=audio)/m) as [string, string];
    const port = call.fax === 'both' ? this.picturePort(call) : this.mediaPort(call);
    const image = [`m=image ${port} udptl t38`, ...FAX_ATTRIBUTES, ''].join('\r\n');
    const media =
      call.fax === 'instead'
        ? image
        : call.fax === 'beside'
          ? `m=audio 0 RTP/AVP 0\r\n${image}`
          : call.fax === 'both'
            ? `${sound}${image}`
            : `${sound}${call.hadFaxLine ? 'm=image 0 udptl t38\r\n' : this.#pictures(call, sound)}`;
    return { contentType, bytes: Buffer.from(head + media) };
  }

  /** Our video line beside the sound's, where there is one; it has the sound's direction. */
  #pictures(call: SimCall, sound: string): string {
    const heard = call.remoteOffer ? describePictures(call.remoteSdp) : undefined;
    const { video } = this.options;
    if (call.remoteOffer ? heard === undefined : video === undefined) return '';
    const direction = /^a=(sendrecv|sendonly|recvonly|inactive)\r?$/m.exec(sound)?.[1] ?? 'sendrecv';
    return pictureLine(video, this.picturePort(call), direction, heard);
  }

  #speech(call: SimCall): { contentType: string; bytes: Uint8Array } {
    const { ip } = this.options.address;
    const family = ip.includes(':') ? 'IP6' : 'IP4';
    const heard = call.remoteOffer ? describe(call.remoteSdp) : undefined;
    const own = call.formats.split(' ');
    const events = heard === undefined ? '101' : heard.events;
    const voice = own.filter((type) => type !== '101' && (heard === undefined || heard.types.includes(type)));
    const types = [...(heard === undefined ? voice : voice.slice(0, 1))];
    if (events !== undefined && own.includes('101')) types.push(events);
    const text = [
      'v=0',
      `o=user-${this.options.name} ${this.options.mediaPort}77${call.session} ${this.#sdpVersion} IN ${family} ${ip}`,
      `s=session-${this.options.name}`,
      `c=IN ${family} ${this.options.mediaIp ?? ip}`,
      't=0 0',
      `m=audio ${this.mediaPort(call)} RTP/AVP ${types.join(' ')}`,
      ...(types.includes('18') ? ['a=rtpmap:18 G729/8000'] : []),
      ...(events === undefined ? [] : [`a=rtpmap:${events} telephone-event/8000`, `a=fmtp:${events} 0-15`]),
      'a=ptime:20',
      `a=${heard === undefined ? call.media : answerTo(heard.direction, call.media)}`,
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
      provisionals: [],
      formats: this.options.formats ?? '0 8 101',
      media: 'sendrecv',
      remoteOffer: false,
      fax: undefined,
      hadFaxLine: false,
      referStatuses: [],
      referredTo: [],
    };
    this.calls.push(call);
    this.#bySession.set(session, call);
    return call;
  }

  #hear(call: SimCall, body: SipBody | undefined, offered: boolean): void {
    if (body === undefined) return;
    call.remoteSdp = Buffer.from(body.bytes).toString();
    call.remoteOffer = offered;
  }

  #event(event: SipEvent): void {
    if (event.kind === 'incoming') {
      const call = this.#enter(event.session, event.request.uri.user, 'in');
      call.lateOffer = event.body === undefined;
      this.#hear(call, event.body, true);
      if (this.options.answer !== undefined) {
        this.options.answer(call, event.request, this);
        return;
      }
      this.ring(call);
      this.later(100, () => this.accept(call));
      return;
    }
    if (!('session' in event)) return;
    const call = this.#bySession.get(event.session);
    if (call === undefined) return;
    const offered = event.kind === 'modify' || ('needsAck' in event && event.needsAck);
    if ('body' in event) this.#hear(call, event.body, offered);
    switch (event.kind) {
      case 'provisional':
        call.state = 'ringing';
        call.provisionals.push(event.status);
        break;
      case 'answered':
        call.state = 'connected';
        if (event.needsAck)
          this.command({ kind: 'acknowledge', session: call.session, body: this.sdp(call) });
        break;
      case 'modify':
        call.modifiesSeen++;
        if (event.body === undefined) call.remoteOffer = false;
        if (this.acceptModify && (this.takesFax !== false || faxPort(call.remoteSdp) === 0))
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
      case 'refer':
        call.referredTo.push(event.target.user);
        break;
      case 'refer-progress':
        call.referStatuses.push(event.status);
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
