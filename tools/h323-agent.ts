/**
 * A small H.323 phone and PBX in one: takes calls by a dial plan (echo, play, busy, ...) and makes calls. It is the intranet PBX of
 * `npm run demo -- --h323`. It speaks through our H.323 endpoint, its RTP is its own.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { H323Command, H323Event, H323Input, H323Output, H323Party } from '../src/h323/contract.ts';
import { H323Endpoint } from '../src/h323/endpoint.ts';
import type {
  FastStartChoice,
  FastStartOffer,
  H323Capabilities,
  H323Capability,
  H323Channel,
} from '../src/h323/media-contract.ts';
import type { Crypto, Random } from '../src/machine/machine.ts';
import { SipTransport } from '../src/net/sip-transport.ts';
import { RtpLine, type RtpLineOptions } from './rtp-line.ts';
import type { AgentCall, Behaviour } from './sip-agent.ts';

export interface H323AgentOptions {
  readonly name: string;
  readonly ip: string;
  readonly port: number;
  /** Where calls go and come from. */
  readonly peer: { readonly ip: string; readonly port: number };
  /** What the called number does; a rejection by SIP status 486 is user busy, any other unallocated number. */
  readonly dialPlan?: (number: string) => Behaviour;
  readonly maxCalls?: number;
  /** Default true. */
  readonly fastStart?: boolean;
  readonly tunnelling?: boolean;
}

interface Live extends AgentCall {
  readonly ref: number;
  readonly startedAt: bigint;
  readonly sound: Int16Array | undefined;
  offers: readonly FastStartOffer[];
  answered: boolean;
  sends: boolean;
  waiters: (() => void)[];
}

const random: Random = { bytes: (n) => randomBytes(n), uint32: () => randomBytes(4).readUInt32BE(0) };
const crypto: Crypto = {
  hash: (name, data) =>
    createHash(name === 'sha512-256' ? 'sha512-256' : name)
      .update(data)
      .digest(),
  hmac: (name, key, data) => createHmac(name, key).update(data).digest(),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};
const now = (): number => Number(process.hrtime.bigint() / 1_000_000n);

/** H.245 connections of the far end come to these. */
const H245_PORTS = [25_000, 25_999] as const;

export class H323Agent {
  readonly options: H323AgentOptions;
  readonly #endpoint: H323Endpoint;
  readonly #transport: SipTransport;
  readonly #calls = new Map<number, Live>();
  #timer: NodeJS.Timeout | undefined;
  #nextRef = 2;
  #stopped = false;
  /** Calls taken, newest last (bounded). */
  readonly taken: AgentCall[] = [];

  private constructor(options: H323AgentOptions) {
    this.options = options;
    const { peer, maxCalls = 1000 } = options;
    this.#endpoint = new H323Endpoint({
      random,
      crypto,
      wall: () => Date.now(),
      decisions: {
        identify: ({ remote }) => (remote.ip === peer.ip ? 'gateway' : undefined),
        acceptH245Address: () => true,
        acceptSignallingAddress: () => true,
        terminal: () => undefined,
        locate: () => false,
      },
      limits: {
        calls: maxCalls,
        callsPerSource: maxCalls,
        connections: 4 * maxCalls,
        connectionsPerSource: 4 * maxCalls,
        exchanges: 10,
        terminals: 0,
        terminalsPerSource: 0,
      },
    });
    this.#transport = new SipTransport(
      {
        onDatagram: () => undefined,
        onStreamOpen: ({ connection, listener, local, remote, listening }) =>
          this.#input({
            kind: 'stream-open',
            connection,
            listener,
            local,
            remote,
            ...(listening === undefined ? {} : { listening }),
          }),
        onStreamData: (connection, bytes) => this.#input({ kind: 'stream-data', connection, bytes }),
        onStreamClosed: (connection, reason) => this.#input({ kind: 'stream-closed', connection, reason }),
        onUnreachable: () => undefined,
        onRefused: () => undefined,
      },
      { connections: 4 * maxCalls, connectionsPerSource: 4 * maxCalls },
    );
  }

  static async start(options: H323AgentOptions): Promise<H323Agent> {
    const agent = new H323Agent(options);
    const { ip, port, peer, fastStart = true, tunnelling = true } = options;
    const local = await agent.#transport.addListener({ name: 'cs', transport: 'tcp', address: { ip, port } });
    agent.#command({
      kind: 'configure',
      peers: [{ name: 'gateway', host: peer.ip, port: peer.port, fastStart, tunnelling, earlyH245: false }],
      listeners: [{ name: 'cs', transport: 'tcp', local, advertise: local }],
    });
    return agent;
  }

  /** Calls `number`; resolves when the call is answered or has failed (then `state` is `ended`). */
  async call(number: string, sound?: Int16Array, callerName = 'Demo'): Promise<AgentCall> {
    const line = await this.#openLine(sound === undefined ? {} : { play: sound });
    const ref = this.#nextRef;
    this.#nextRef += 2;
    const call = this.#enter(ref, number, 'out', line, sound);
    const caller: H323Party = {
      number: this.options.name,
      numberType: 'unknown',
      display: callerName,
      presentation: 'allowed',
      verified: false,
    };
    this.#command({
      kind: 'setup',
      call: ref,
      peer: 'gateway',
      caller,
      callee: { number, numberType: 'unknown', presentation: 'allowed', verified: false },
      hops: 20,
      capabilities: CAPABILITIES,
      ...(this.options.fastStart === false
        ? {}
        : {
            fastStart: [
              {
                kind: 'audio' as const,
                capabilities: CAPABILITIES.media,
                direction: 'both' as const,
                local: this.#local(call),
              },
            ],
          }),
    });
    await new Promise<void>((resolve) => call.waiters.push(resolve));
    return call;
  }

  hangUp(call: AgentCall): Promise<void> {
    const live = [...this.#calls.values()].find((c) => c === call);
    if (live === undefined) return Promise.resolve();
    const done = new Promise<void>((resolve) => live.waiters.push(resolve));
    this.#command({ kind: 'release', call: live.ref, cause: 16 });
    return done;
  }

  async stop(): Promise<void> {
    for (const { ref, line } of [...this.#calls.values()]) {
      this.#command({ kind: 'release', call: ref, cause: 16 });
      line.stop();
    }
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#transport.stop();
  }

  #openLine(options: Omit<RtpLineOptions, 'ip'>): Promise<RtpLine> {
    return RtpLine.open({ ip: this.options.ip, ...options });
  }

  #local(call: Live) {
    const rtp = { ip: this.options.ip, port: call.line.port };
    return { rtp, rtcp: { ip: rtp.ip, port: rtp.port + 1 } };
  }

  #enter(
    ref: number,
    number: string,
    direction: 'in' | 'out',
    line: RtpLine,
    sound: Int16Array | undefined,
  ): Live {
    const call: Live = {
      ref,
      number,
      direction,
      line,
      sound,
      startedAt: process.hrtime.bigint(),
      setupMs: 0,
      state: 'calling',
      endStatus: 0,
      offers: [],
      answered: false,
      sends: false,
      waiters: [],
      statistics: () => line.statistics,
    };
    this.#calls.set(ref, call);
    return call;
  }

  #input(input: H323Input): void {
    if (this.#stopped) return;
    this.#endpoint.handle(input, now());
    this.#drain();
  }

  #command(command: H323Command): void {
    this.#input({ kind: 'command', command });
  }

  #drain(): void {
    for (let out = this.#endpoint.poll(); out !== undefined; out = this.#endpoint.poll()) this.#output(out);
    clearTimeout(this.#timer);
    const deadline = this.#endpoint.deadline();
    if (deadline === undefined || this.#stopped) return;
    this.#timer = setTimeout(() => this.#input({ kind: 'timeout' }), Math.max(1, deadline - now()));
  }

  #output(out: H323Output): void {
    switch (out.kind) {
      case 'event':
        this.#event(out.event);
        break;
      case 'open-stream':
        this.#transport.openStream(out);
        break;
      case 'send-stream':
        this.#transport.sendStream(out.connection, out.bytes);
        break;
      case 'close-stream':
        this.#transport.closeStream(out.connection);
        break;
      case 'listen': {
        const { listening, listener } = out;
        this.#transport.listen(listening, listener, H245_PORTS).then(
          (local) => this.#input({ kind: 'listening', listening, local }),
          (error: Error) => this.#input({ kind: 'listen-failed', listening, reason: error.message }),
        );
        break;
      }
      case 'unlisten':
        this.#transport.unlisten(out.listening);
        break;
      default:
        break;
    }
  }

  #event(event: H323Event): void {
    if (event.kind === 'incoming') {
      this.#incoming(event).catch((error) => console.error('h323-agent:', error));
      return;
    }
    if (!('call' in event)) return;
    const call = this.#calls.get(event.call);
    if (call === undefined) return;
    switch (event.kind) {
      case 'alerting':
        call.state = 'ringing';
        break;
      case 'connected':
        call.setupMs = Number((process.hrtime.bigint() - call.startedAt) / 10_000n) / 100;
        call.state = 'connected';
        this.#wake(call);
        break;
      case 'fast-start-answered':
        for (const channel of event.channels) this.#channel(call, channel);
        break;
      case 'capabilities':
        if (event.master) this.#openFirst(call, event.capabilities.media);
        break;
      case 'channel-asked':
        this.#command({ kind: 'accept-channel', call: call.ref, media: 'audio', local: this.#local(call) });
        this.#channel(call, event.channel);
        if (!call.sends) this.#openFirst(call, [event.channel.capability]);
        break;
      case 'channel-opened':
        this.#channel(call, event.channel);
        break;
      case 'far-hold':
        call.line.sending = false;
        break;
      case 'far-retrieve':
        call.line.sending = true;
        break;
      case 'released':
        call.state = 'ended';
        call.endStatus = event.cause;
        call.line.stop();
        this.#calls.delete(call.ref);
        this.#wake(call);
        break;
      default:
        break;
    }
  }

  #wake(call: Live): void {
    for (const waiter of call.waiters.splice(0)) waiter();
  }

  #openFirst(call: Live, far: readonly H323Capability[]): void {
    const capability = CAPABILITIES.media.find((c) => far.some((f) => f.codec === c.codec));
    if (capability === undefined || call.sends) return;
    call.sends = true;
    this.#command({ kind: 'open-channel', call: call.ref, capability, local: this.#local(call) });
  }

  /** The line sends to where our channel leads, in its law. */
  #channel(call: Live, channel: H323Channel): void {
    const { codec } = channel.capability;
    if (codec === 'PCMA' || codec === 'PCMU') call.line.setCodec(codec, codec === 'PCMU' ? 0 : 8, call.sound);
    if (channel.direction !== 'send' || channel.remote === undefined) return;
    call.sends = true;
    call.line.start(channel.remote.rtp);
  }

  async #incoming(event: Extract<H323Event, { kind: 'incoming' }>): Promise<void> {
    const { number } = event.callee;
    const behaviour = this.options.dialPlan?.(number) ?? { kind: 'reject', status: 404 };
    if (behaviour.kind === 'reject') {
      this.#command({ kind: 'release', call: event.call, cause: behaviour.status === 486 ? 17 : 1 });
      return;
    }
    const sound = behaviour.kind === 'play' || behaviour.kind === 'early' ? behaviour.sound : undefined;
    const line = await this.#openLine({
      echo: behaviour.kind === 'echo' || behaviour.kind === 'early',
      ...(sound === undefined ? {} : { play: sound }),
    });
    const call = this.#enter(event.call, number, 'in', line, sound);
    call.offers = this.options.fastStart === false ? [] : event.fastStart;
    this.taken.push(call);
    if (this.taken.length > 1000) this.taken.shift();
    call.state = 'ringing';
    this.#command({ kind: 'capabilities', call: call.ref, capabilities: CAPABILITIES });
    if (behaviour.kind === 'early') {
      this.#command({ kind: 'alerting', call: call.ref, inBand: true, ...this.#choose(call) });
      await new Promise((resolve) => setTimeout(resolve, behaviour.ms));
    } else {
      this.#command({ kind: 'alerting', call: call.ref, inBand: false });
    }
    if (behaviour.kind === 'ring' || !this.#calls.has(call.ref)) return;
    call.state = 'connected';
    this.#command({ kind: 'connect', call: call.ref, ...this.#choose(call) });
  }

  /** Our part of the caller's FastStart: the first law of ours that it has both ways. */
  #choose(call: Live): { fastStart?: readonly FastStartChoice[] } {
    const audio = call.offers.find((o) => o.kind === 'audio');
    if (audio === undefined || call.answered) return {};
    for (const { codec } of CAPABILITIES.media) {
      const to = audio.send.find((s) => s.capability.codec === codec);
      const from = audio.receive.find((r) => r.capability.codec === codec);
      if (to === undefined || from === undefined) continue;
      call.answered = true;
      const channel = { kind: 'audio', capability: to.capability } as const;
      this.#channel(call, { ...channel, direction: 'send', remote: to.remote });
      const choice = { kind: 'audio', send: to.capability, receive: from.capability } as const;
      return { fastStart: [{ ...choice, local: this.#local(call) }] };
    }
    return {};
  }
}

const CAPABILITIES: H323Capabilities = {
  media: (['PCMA', 'PCMU'] as const).map((codec) => ({
    kind: 'audio',
    codec,
    packetTime: 20,
    silenceSuppression: false,
  })),
  userInput: { alphanumeric: true, signal: true },
};
