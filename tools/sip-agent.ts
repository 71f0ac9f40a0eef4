/**
 * A small SIP phone and PBX in one, over UDP: takes calls by a dial plan (echo, play, busy, ...) and makes calls. It is the
 * Internet phone and the intranet PBX of the demo, and the load tool. It speaks through our SIP endpoint but builds and reads
 * its own SDP and RTP, so that the gateways' own are checked against something else.
 */

import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import type { Crypto, HashName, Random } from '../src/machine/machine.ts';
import type { SipCommand, SipEvent, SipOutput } from '../src/sip/contract.ts';
import { SipEndpoint } from '../src/sip/endpoint.ts';
import { type LineStatistics, RtpLine, type RtpLineOptions } from './rtp-line.ts';

export type Behaviour =
  | { readonly kind: 'echo' }
  | { readonly kind: 'play'; readonly sound: Int16Array }
  | { readonly kind: 'reject'; readonly status: number }
  /** Early media with `sound` for `ms`, then answered with echo. */
  | { readonly kind: 'early'; readonly sound: Int16Array; readonly ms: number }
  | { readonly kind: 'ring' };

export interface SipAgentOptions {
  readonly name: string;
  readonly ip: string;
  readonly port: number;
  /** Where calls go and come from. */
  readonly peer: { readonly ip: string; readonly port: number };
  /** What the called number does. */
  readonly dialPlan?: (number: string) => Behaviour;
  readonly maxCalls?: number;
}

export type SdpDirection = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

export interface AgentCall {
  readonly number: string;
  readonly direction: 'in' | 'out';
  readonly line: RtpLine;
  /** ms from INVITE to 200 (outgoing). */
  setupMs: number;
  state: 'calling' | 'ringing' | 'connected' | 'ended';
  endStatus: number;
  statistics(): LineStatistics;
}

interface Live extends AgentCall {
  readonly session: number;
  readonly sdpId: number;
  readonly startedAt: bigint;
  readonly sound: Int16Array | undefined;
  /** What our description says now, and how often it changed. */
  media: SdpDirection;
  version: number;
  /** Says whether our last re-INVITE was taken. */
  modified: ((taken: boolean) => void) | undefined;
  waiters: (() => void)[];
}

const random: Random = { bytes: (n) => randomBytes(n), uint32: () => randomBytes(4).readUInt32BE(0) };
const HASHES: Record<HashName, string> = {
  md5: 'md5',
  sha1: 'sha1',
  sha256: 'sha256',
  'sha512-256': 'sha512-256',
};
const crypto: Crypto = {
  hash: (name, data) => createHash(HASHES[name]).update(data).digest(),
  hmac: (name, key, data) => createHmac(name, key).update(data).digest(),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};
const now = (): number => Number(process.hrtime.bigint() / 1_000_000n);

export class SipAgent {
  readonly options: SipAgentOptions;
  readonly #endpoint: SipEndpoint;
  readonly #socket: Socket;
  readonly #calls = new Map<number, Live>();
  #timer: NodeJS.Timeout | undefined;
  #nextSession = 2;
  /** Calls taken, newest last (bounded). */
  readonly taken: AgentCall[] = [];

  private constructor(options: SipAgentOptions, socket: Socket) {
    this.options = options;
    this.#socket = socket;
    const peer = options.peer;
    this.#endpoint = new SipEndpoint({
      random,
      crypto,
      decisions: {
        identify: ({ remote }) => (remote.ip === peer.ip ? 'gateway' : undefined),
        authenticate: () => undefined,
      },
      limits: {
        transactions: 20_000,
        sessions: options.maxCalls ?? 1000,
        connections: 10,
        connectionsPerSource: 10,
      },
    });
    const local = { ip: options.ip, port: options.port };
    this.#endpoint.handle(
      {
        kind: 'command',
        command: {
          kind: 'configure',
          peers: [{ name: 'gateway', host: peer.ip, port: peer.port, transport: 'udp', probeEveryMs: 0 }],
          listeners: [{ name: 'udp', transport: 'udp', local, advertise: local }],
        },
      },
      now(),
    );
    socket.on('message', (bytes, from) => {
      this.#endpoint.handle(
        { kind: 'datagram', listener: 'udp', remote: { ip: from.address, port: from.port }, bytes },
        now(),
      );
      this.#drain();
    });
    socket.on('error', () => undefined);
    this.#drain();
  }

  static start(options: SipAgentOptions): Promise<SipAgent> {
    const socket = createSocket(options.ip.includes(':') ? 'udp6' : 'udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(options.port, options.ip, () => {
        socket.removeListener('error', reject);
        resolve(new SipAgent(options, socket));
      });
    });
  }

  /** Calls `number`; resolves when the call is answered or has failed (then `state` is `ended`). */
  async call(number: string, sound?: Int16Array, callerName = 'Demo'): Promise<AgentCall> {
    const line = await this.#openLine(sound === undefined ? {} : { play: sound });
    const session = this.#nextSession;
    this.#nextSession += 2;
    const call = this.#enter(session, number, 'out', line, sound);
    this.#command({
      kind: 'invite',
      session,
      peer: 'gateway',
      parties: {
        from: { user: this.options.name, displayName: callerName, anonymous: false },
        to: { user: number },
      },
      hops: 70,
      priority: false,
      body: { contentType: 'application/sdp', bytes: this.#sdp(call, ['PCMU', 'PCMA']) },
    });
    await new Promise<void>((resolve) => call.waiters.push(resolve));
    return call;
  }

  hangUp(call: AgentCall): Promise<void> {
    const live = [...this.#calls.values()].find((c) => c === call);
    if (live === undefined) return Promise.resolve();
    const done = new Promise<void>((resolve) => live.waiters.push(resolve));
    this.#command({ kind: 'end', session: live.session, q850: 16 });
    return done;
  }

  /** A re-INVITE of ours (hold, taking back, another law); resolves with whether it was taken. */
  reinvite(call: AgentCall, direction: SdpDirection, law: 'PCMU' | 'PCMA' = call.line.law): Promise<boolean> {
    const live = [...this.#calls.values()].find((c) => c === call);
    if (live === undefined) return Promise.resolve(false);
    live.media = direction;
    live.version++;
    const done = new Promise<boolean>((resolve) => {
      live.modified = resolve;
    });
    const body = { contentType: 'application/sdp', bytes: this.#sdp(live, [law]) };
    this.#command({ kind: 'reinvite', session: live.session, body });
    return done;
  }

  stop(): void {
    for (const call of this.#calls.values())
      this.#command({ kind: 'end', session: call.session, q850: 16, status: 503 });
    for (const call of this.#calls.values()) call.line.stop();
    clearTimeout(this.#timer);
    this.#socket.close();
  }

  async #openLine(options: Omit<RtpLineOptions, 'ip'>): Promise<RtpLine> {
    return RtpLine.open({ ip: this.options.ip, ...options });
  }

  #enter(
    session: number,
    number: string,
    direction: 'in' | 'out',
    line: RtpLine,
    sound: Int16Array | undefined,
  ): Live {
    const call: Live = {
      session,
      number,
      direction,
      line,
      sound,
      sdpId: random.uint32() >>> 2,
      startedAt: process.hrtime.bigint(),
      setupMs: 0,
      state: 'calling',
      endStatus: 0,
      media: 'sendrecv',
      version: 1,
      modified: undefined,
      waiters: [],
      statistics: () => line.statistics,
    };
    this.#calls.set(session, call);
    return call;
  }

  #command(command: SipCommand): void {
    this.#endpoint.handle({ kind: 'command', command }, now());
    this.#drain();
  }

  #drain(): void {
    for (let out = this.#endpoint.poll(); out !== undefined; out = this.#endpoint.poll()) this.#output(out);
    clearTimeout(this.#timer);
    const deadline = this.#endpoint.deadline();
    if (deadline === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#endpoint.handle({ kind: 'timeout' }, now());
        this.#drain();
      },
      Math.max(1, deadline - now()),
    );
  }

  #output(output: SipOutput): void {
    if (output.kind === 'send-datagram') {
      this.#socket.send(output.bytes, output.remote.port, output.remote.ip, () => undefined);
    } else if (output.kind === 'open-stream') {
      // UDP only: a message too long for it goes over UDP after all (RFC 3261 18.1.1).
      this.#endpoint.handle(
        { kind: 'stream-closed', connection: output.connection, reason: 'no TCP here' },
        now(),
      );
    } else if (output.kind === 'event') {
      this.#event(output.event);
    }
  }

  #event(event: SipEvent): void {
    if (event.kind === 'incoming') {
      this.#incoming(event).catch((error) => console.error('sip-agent:', error));
      return;
    }
    if (!('session' in event)) return;
    const call = this.#calls.get(event.session);
    if (call === undefined) return;
    switch (event.kind) {
      case 'provisional':
        call.state = 'ringing';
        if (event.body !== undefined) this.#takeSdp(call, event.body.bytes);
        break;
      case 'answered':
        call.setupMs = Number((process.hrtime.bigint() - call.startedAt) / 10_000n) / 100;
        call.state = 'connected';
        if (event.body !== undefined) this.#takeSdp(call, event.body.bytes);
        this.#wake(call);
        break;
      case 'modify':
        if (event.body !== undefined) this.#takeSdp(call, event.body.bytes);
        this.#command({
          kind: 'modify-accept',
          session: call.session,
          body: { contentType: 'application/sdp', bytes: this.#sdp(call, [call.line.law]) },
        });
        break;
      case 'modify-accepted':
        if (event.body !== undefined) this.#takeSdp(call, event.body.bytes);
        if (event.needsAck) this.#command({ kind: 'acknowledge', session: call.session });
        call.modified?.(true);
        break;
      case 'modify-refused':
        call.modified?.(false);
        break;
      case 'ended':
        call.modified?.(false);
        call.state = 'ended';
        call.endStatus = event.status;
        call.line.stop();
        this.#calls.delete(event.session);
        this.#wake(call);
        break;
      default:
        break;
    }
  }

  #wake(call: Live): void {
    for (const waiter of call.waiters.splice(0)) waiter();
  }

  async #incoming(event: Extract<SipEvent, { kind: 'incoming' }>): Promise<void> {
    const number = event.request.uri.user;
    const behaviour = this.options.dialPlan?.(number) ?? { kind: 'reject', status: 404 };
    if (behaviour.kind === 'reject') {
      this.#command({ kind: 'reject', session: event.session, status: behaviour.status });
      return;
    }
    const sound = behaviour.kind === 'play' || behaviour.kind === 'early' ? behaviour.sound : undefined;
    const line = await this.#openLine({
      echo: behaviour.kind === 'echo' || behaviour.kind === 'early',
      ...(sound === undefined ? {} : { play: sound }),
    });
    const call = this.#enter(event.session, number, 'in', line, sound);
    this.taken.push(call);
    if (this.taken.length > 1000) this.taken.shift();
    if (event.body !== undefined) this.#takeSdp(call, event.body.bytes);
    const body = () => ({
      contentType: 'application/sdp',
      bytes: this.#sdp(call, event.body === undefined ? ['PCMU', 'PCMA'] : [call.line.law]),
    });
    call.state = 'ringing';
    if (behaviour.kind === 'early') {
      this.#command({ kind: 'provisional', session: call.session, status: 183, body: body() });
      await new Promise((resolve) => setTimeout(resolve, behaviour.ms));
      line.sending = true;
    } else {
      this.#command({ kind: 'provisional', session: call.session, status: 180 });
    }
    if (behaviour.kind === 'ring' || !this.#calls.has(call.session)) return;
    call.state = 'connected';
    this.#command({ kind: 'accept', session: call.session, body: body() });
  }

  #sdp(call: Live, laws: readonly ('PCMU' | 'PCMA')[]): Uint8Array {
    const family = this.options.ip.includes(':') ? 'IP6' : 'IP4';
    const types = laws.map((l) => (l === 'PCMU' ? 0 : 8));
    return Buffer.from(
      [
        'v=0',
        `o=- ${call.sdpId} ${call.version} IN ${family} ${this.options.ip}`,
        's=-',
        `c=IN ${family} ${this.options.ip}`,
        't=0 0',
        `m=audio ${call.line.port} RTP/AVP ${types.join(' ')} ${call.line.eventType}`,
        ...laws.map((l) => `a=rtpmap:${l === 'PCMU' ? 0 : 8} ${l}/8000`),
        `a=rtpmap:${call.line.eventType} telephone-event/8000`,
        `a=fmtp:${call.line.eventType} 0-16`,
        'a=ptime:20',
        `a=${call.media}`,
        '',
      ].join('\r\n'),
    );
  }

  /** Address, port, G.711 law and telephone-event type of the far end's first audio stream. */
  #takeSdp(call: Live, bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString('utf8');
    const audio = /^m=audio (\d+) \S+ ([\d ]+)\r?$/m.exec(text);
    const address =
      /^c=IN IP[46] (\S+?)\r?$/m.exec(text.slice(text.indexOf('m=audio'))) ??
      /^c=IN IP[46] (\S+?)\r?$/m.exec(text);
    if (audio === null || address === null || audio[1] === '0') return;
    const types = audio[2]!.trim().split(' ').map(Number);
    const law = types.find((t) => t === 0 || t === 8);
    if (law !== undefined) call.line.setCodec(law === 0 ? 'PCMU' : 'PCMA', law, call.sound);
    const event = /^a=rtpmap:(\d+) telephone-event\/8000/m.exec(text);
    if (event !== null) call.line.eventType = Number(event[1]);
    call.line.sending = !/^a=(?:sendonly|inactive)/m.test(text); // on hold: the far end does not listen
    call.line.start({ ip: address[1]!, port: Number(audio[1]) });
  }
}
