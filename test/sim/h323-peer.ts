/** An H.323 terminal or PBX in memory: our endpoint under a script. */
import type { H323Command, H323Event, H323Input, H323Party } from '../../src/h323/contract.ts';
import { H323Endpoint } from '../../src/h323/endpoint.ts';
import type {
  FastStartChoice,
  H323Capabilities,
  H323Capability,
  H323Channel,
} from '../../src/h323/media-contract.ts';
import type { H323GatekeeperAccess } from '../../src/h323/peer-contract.ts';
import { TpktFramer, tpktPacket } from '../../src/h323/tpkt.ts';
import type { Address } from '../../src/machine/address.ts';
import type { H323Host, H323Net } from './h323-net.ts';
import { SeededRandom, simCrypto } from './random.ts';

type AudioCodec = Extract<H323Capability, { kind: 'audio' }>['codec'];

/** What it has of T.38. */
export const FAX: H323Capability = {
  kind: 'image',
  codec: 'T38',
  maxBitRate: 9600,
  version: 0,
  rateManagement: 'transferredTCF',
  maxBuffer: 200,
  maxDatagram: 120,
  errorCorrection: 'redundancy',
};

export interface SimH323Options {
  readonly name: string;
  /** Call signalling. */
  readonly address: Address;
  readonly gateway: Address;
  readonly mediaPort: number;
  readonly codecs?: readonly AudioCodec[];
  readonly fastStart?: boolean;
  readonly tunnelling?: boolean;
  readonly earlyH245?: boolean;
  /** Has video besides: in its capabilities, and in its FastStart unless that is for sound alone. */
  readonly video?: 'H264' | 'H263';
  readonly fastVideo?: boolean;
  /** Has T.38 besides: in its capabilities. `only`: and no sound; its FastStart is of a fax. */
  readonly fax?: boolean | 'only';
  /** Takes telephone events in RTP. */
  readonly rfc4733?: boolean;
  /** Registers there (RAS at port 1719 of our address). */
  readonly gatekeeper?: Omit<H323GatekeeperAccess, 'host'>;
  /** Is a gatekeeper itself: password by alias. */
  readonly serves?: Readonly<Record<string, string>>;
  /** Decides what an incoming call does. Default: ring 100 ms, answer. */
  readonly answer?: (call: H323SimCall, peer: SimH323Peer) => void;
}

export interface H323SimCall {
  readonly ref: number;
  readonly number: string;
  readonly direction: 'in' | 'out';
  readonly caller: H323Party | undefined;
  state: 'calling' | 'proceeding' | 'alerting' | 'connected' | 'ended';
  readonly seen: string[];
  inBand: boolean;
  digits: string;
  endCause: number;
  endedBy: string;
  /** As it stands. */
  send: H323Channel | undefined;
  receive: H323Channel | undefined;
  videoSend: H323Channel | undefined;
  videoReceive: H323Channel | undefined;
  videoOpening: boolean;
  faxSend: H323Channel | undefined;
  faxReceive: H323Channel | undefined;
  /** Answers to our RequestModes. */
  modes: boolean[];
  /** What we send now, or are about to. */
  faxing: boolean;
  /** We may not send. */
  held: boolean;
  offers: Extract<H323Event, { kind: 'incoming' }>['fastStart'];
  fast: 'none' | 'offered' | 'taken' | 'refused';
  openedBy: number;
}

export class SimH323Peer implements H323Host {
  readonly options: SimH323Options;
  readonly endpoint: H323Endpoint;
  readonly calls: H323SimCall[] = [];
  readonly name: string;
  readonly listeners: H323Host['listeners'];
  readonly h245Ports = [40_000, 40_999] as const;
  readonly counts: string[] = [];
  readonly registrations: string[] = [];
  readonly terminals = new Set<string>();
  /** Whether it goes where a RequestMode wants it. */
  takesModes = true;
  /** What it changes in a message of call signalling, as a telephone system of another make would write and read it. */
  rewrite: ((message: Uint8Array, direction: 'in' | 'out') => Uint8Array) | undefined;
  readonly #framers = new Map<string, TpktFramer>();
  /** Whether it takes a FastStart that is of a fax alone. */
  takesFastFax = true;
  readonly #net: H323Net;
  #now: () => number;
  #later: (ms: number, run: () => void) => void;
  #nextRef = 2;

  constructor(
    options: SimH323Options,
    net: H323Net,
    seed: number,
    clock: { now(): number; after(ms: number, run: () => void): void },
  ) {
    this.options = options;
    this.name = options.name;
    this.#net = net;
    this.#now = () => clock.now();
    this.#later = (ms, run) => clock.after(ms, run);
    const ras = { ip: options.address.ip, port: 1719 };
    this.listeners = [
      { name: 'cs', transport: 'tcp', address: options.address },
      { name: 'ras', transport: 'udp', address: ras },
    ];
    this.endpoint = new H323Endpoint({
      random: new SeededRandom(seed),
      crypto: simCrypto,
      wall: () => 1_800_000_000_000 + clock.now(),
      decisions: {
        identify: ({ remote }) => (remote.ip === options.gateway.ip ? 'gateway' : undefined),
        acceptH245Address: () => true,
        acceptSignallingAddress: () => true,
        terminal: (alias) => {
          const password = options.serves?.[alias];
          return password === undefined ? undefined : password === '' ? 'open' : { password };
        },
        locate: () => false,
      },
      limits: {
        calls: 100,
        callsPerSource: 100,
        connections: 100,
        connectionsPerSource: 100,
        exchanges: 10,
        terminals: 10,
        terminalsPerSource: 10,
      },
    });
    net.attach(this);
    this.command({
      kind: 'configure',
      peers: [
        {
          name: 'gateway',
          host: options.gateway.ip,
          port: options.gateway.port,
          fastStart: options.fastStart ?? true,
          tunnelling: options.tunnelling ?? true,
          earlyH245: options.earlyH245 ?? false,
          ...(options.gatekeeper === undefined
            ? {}
            : { gatekeeper: { host: options.gateway.ip, ...options.gatekeeper } }),
        },
      ],
      listeners: this.listeners.map((l) => ({ ...l, local: l.address, advertise: l.address })),
      ...(options.serves === undefined
        ? {}
        : {
            gatekeeper: {
              identifier: 'sim',
              listener: 'ras',
              signalling: 'cs',
              peer: 'gateway',
              timeToLiveSeconds: 120,
            },
          }),
    });
  }

  get mediaAddress(): Address {
    return { ip: this.options.address.ip, port: this.options.mediaPort };
  }

  handle(input: H323Input): void {
    if (input.kind === 'stream-data')
      this.endpoint.handle(
        { ...input, bytes: this.#rewritten(input.bytes, input.connection, 'in') },
        this.#now(),
      );
    else this.endpoint.handle(input, this.#now());
  }

  #rewritten(bytes: Uint8Array, connection: number, direction: 'in' | 'out'): Uint8Array {
    const { rewrite } = this;
    if (rewrite === undefined) return bytes;
    const key = `${connection} ${direction}`;
    const framer = this.#framers.get(key) ?? new TpktFramer();
    this.#framers.set(key, framer);
    return Buffer.concat(framer.push(bytes).map((payload) => tpktPacket(rewrite(payload, direction))));
  }

  command(command: H323Command): void {
    this.handle({ kind: 'command', command });
  }

  /** Carries what there is; true where there was something. */
  drain(): boolean {
    let moved = false;
    for (let out = this.endpoint.poll(); out !== undefined; out = this.endpoint.poll()) {
      moved = true;
      if (out.kind === 'event') this.#event(out.event);
      else if (out.kind === 'count') this.counts.push(out.reason);
      else if (out.kind === 'send-stream')
        this.#net.output(this, { ...out, bytes: this.#rewritten(out.bytes, out.connection, 'out') });
      else if (out.kind !== 'trace') this.#net.output(this, out);
    }
    return moved;
  }

  #capability(codec: AudioCodec): H323Capability {
    return { kind: 'audio', codec, packetTime: codec === 'G723' ? 30 : 20, silenceSuppression: false };
  }

  get #videoCapabilities(): H323Capability[] {
    const { video } = this.options;
    if (video === undefined) return [];
    if (video === 'H263') return [{ kind: 'video', codec: 'H263', maxBitRate: 384_000, cif: 1, qcif: 1 }];
    // Baseline, level 1.3: lower than what others may offer.
    return [
      { kind: 'video', codec: 'H264', maxBitRate: 384_000, profile: 64, level: 36, packetizationMode: 1 },
    ];
  }

  /** Its video RTP port is two above the sound's. */
  get #localVideo() {
    const { ip, port } = this.mediaAddress;
    return { rtp: { ip, port: port + 2 }, rtcp: { ip, port: port + 3 } };
  }

  get capabilities(): H323Capabilities {
    return {
      media: [
        ...this.#codecs.map((c) => this.#capability(c)),
        ...this.#videoCapabilities,
        ...(this.#hasFax ? [FAX] : []),
      ],
      userInput: {
        alphanumeric: true,
        signal: true,
        ...(this.options.rfc4733 === true ? { rfc4733PayloadType: 99 } : {}),
      },
    };
  }

  get #hasFax(): boolean {
    return (this.options.fax ?? false) !== false;
  }

  get #codecs(): readonly AudioCodec[] {
    if (this.options.fax === 'only') return [];
    return this.options.codecs ?? ['PCMA', 'PCMU'];
  }

  get #local() {
    const rtp = this.mediaAddress;
    return { rtp, rtcp: { ip: rtp.ip, port: rtp.port + 1 } };
  }

  #enter(call: Pick<H323SimCall, 'ref' | 'number' | 'direction' | 'caller'>): H323SimCall {
    const made: H323SimCall = {
      ...call,
      state: 'calling',
      seen: [],
      inBand: false,
      digits: '',
      endCause: 0,
      endedBy: '',
      send: undefined,
      receive: undefined,
      videoSend: undefined,
      videoReceive: undefined,
      videoOpening: false,
      faxSend: undefined,
      faxReceive: undefined,
      modes: [],
      faxing: false,
      held: false,
      offers: [],
      fast: 'none',
      openedBy: 0,
    };
    this.calls.push(made);
    return made;
  }

  call(number: string): H323SimCall {
    const ref = this.#nextRef;
    this.#nextRef += 2;
    const fastStart = this.options.fastStart ?? true;
    const caller: H323Party = {
      number: this.options.name.replace(/\D/g, ''),
      numberType: 'unknown',
      display: 'Simulated',
      presentation: 'allowed',
      verified: false,
    };
    const call = this.#enter({ ref, number, direction: 'out', caller });
    this.command({
      kind: 'setup',
      call: ref,
      peer: 'gateway',
      caller,
      callee: { number, numberType: 'unknown', presentation: 'allowed', verified: false },
      hops: 20,
      capabilities: this.capabilities,
      ...(fastStart
        ? {
            fastStart: [
              this.options.fax === 'only'
                ? {
                    kind: 'image' as const,
                    capabilities: [FAX],
                    direction: 'both' as const,
                    local: { rtp: this.faxAddress },
                  }
                : {
                    kind: 'audio' as const,
                    capabilities: this.#codecs.map((c) => this.#capability(c)),
                    direction: 'both' as const,
                    local: this.#local,
                  },
              ...(this.options.video === undefined || this.options.fastVideo === false
                ? []
                : [
                    {
                      kind: 'video' as const,
                      capabilities: this.#videoCapabilities,
                      direction: 'both' as const,
                      local: this.#localVideo,
                      payloadType: 99,
                    },
                  ]),
            ],
          }
        : {}),
    });
    return call;
  }

  end(call: H323SimCall, cause = 16): void {
    if (call.state !== 'ended') this.command({ kind: 'release', call: call.ref, cause });
  }

  /** Rings; `inBand`: with tones, FastStart answered now. */
  ring(call: H323SimCall, inBand = false): void {
    call.state = 'alerting';
    this.command({ kind: 'alerting', call: call.ref, inBand, ...(inBand ? this.#choices(call) : {}) });
  }

  accept(call: H323SimCall): void {
    call.state = 'connected';
    this.command({ kind: 'connect', call: call.ref, ...this.#choices(call) });
  }

  /** Asks for a fax in place of the sound, or for sound again (H.245 C.9); goes there itself once that is granted. */
  mode(call: H323SimCall, fax: boolean): void {
    const [codec] = this.#codecs;
    if (!fax && codec === undefined) return;
    const capability = fax ? FAX : this.#capability(codec!);
    this.command({ kind: 'request-mode', call: call.ref, capability });
  }

  /** Its UDPTL port is four above the sound's. */
  get faxAddress(): Address {
    const { ip, port } = this.mediaAddress;
    return { ip, port: port + 4 };
  }

  #enterMode(call: H323SimCall, fax: boolean): void {
    const [codec] = this.#codecs;
    if (call.faxing === fax || (!fax && codec === undefined)) return;
    call.faxing = fax;
    const media = fax ? ('audio' as const) : ('image' as const);
    if ((fax ? call.send : call.faxSend) !== undefined)
      this.command({ kind: 'close-channel', call: call.ref, media, direction: 'send' });
    if (fax) call.send = undefined;
    else call.faxSend = undefined;
    const local = fax ? { rtp: this.faxAddress } : this.#local;
    const capability = fax ? FAX : this.#capability(codec!);
    this.command({ kind: 'open-channel', call: call.ref, capability, local });
  }

  digit(call: H323SimCall, digit: string): void {
    this.command({ kind: 'user-input', call: call.ref, digit, durationMs: 100 });
  }

  hold(call: H323SimCall): void {
    this.command({ kind: 'hold', call: call.ref });
  }

  retrieve(call: H323SimCall): void {
    this.command({ kind: 'retrieve', call: call.ref });
  }

  #choices(call: H323SimCall): { fastStart?: readonly FastStartChoice[] } {
    const audio = call.offers.find((o) => o.kind === 'audio');
    if (call.fast !== 'offered') return {};
    if (audio === undefined) return this.#faxChoice(call);
    for (const codec of this.#codecs) {
      const to = audio.send.find((s) => s.capability.codec === codec);
      const from = audio.receive.find((r) => r.capability.codec === codec);
      if (to === undefined || from === undefined) continue;
      call.fast = 'taken';
      call.send = {
        kind: 'audio',
        direction: 'send',
        capability: to.capability,
        remote: to.remote,
      };
      call.receive = { kind: 'audio', direction: 'receive', capability: from.capability };
      const sound = {
        kind: 'audio',
        send: to.capability,
        receive: from.capability,
        local: this.#local,
      } as const;
      return { fastStart: [sound, ...this.#videoChoice(call)] };
    }
    call.fast = 'refused';
    return {};
  }

  #faxChoice(call: H323SimCall): { fastStart?: readonly FastStartChoice[] } {
    const image = call.offers.find((o) => o.kind === 'image');
    const [to] = image?.send ?? [];
    const [from] = image?.receive ?? [];
    if (!this.#hasFax || !this.takesFastFax || to === undefined || from === undefined) {
      call.fast = 'refused';
      return {};
    }
    call.fast = 'taken';
    call.faxing = true;
    const kind = 'image' as const;
    call.faxSend = { kind, direction: 'send', capability: to.capability, remote: to.remote };
    call.faxReceive = { kind, direction: 'receive', capability: from.capability };
    const local = { rtp: this.faxAddress };
    return { fastStart: [{ kind, send: to.capability, receive: from.capability, local }] };
  }

  #videoChoice(call: H323SimCall): FastStartChoice[] {
    const offer = call.offers.find((o) => o.kind === 'video');
    const { video } = this.options;
    const to = offer?.send.find((s) => s.capability.codec === video);
    const from = offer?.receive.find((r) => r.capability.codec === video);
    if (to === undefined || from === undefined || this.options.fastVideo === false) return [];
    const { capability, remote, payloadType = 98 } = to;
    call.videoSend = { kind: 'video', direction: 'send', capability, remote };
    call.videoReceive = { kind: 'video', direction: 'receive', capability: from.capability };
    return [
      { kind: 'video', send: capability, receive: from.capability, local: this.#localVideo, payloadType },
    ];
  }

  #event(event: H323Event): void {
    if (event.kind === 'incoming') {
      this.#incoming(event);
      return;
    }
    if (event.kind === 'registration') this.registrations.push(event.state);
    if (event.kind === 'terminal-registered') this.terminals.add(event.account);
    if (event.kind === 'terminal-unregistered') this.terminals.delete(event.account);
    if (!('call' in event)) return;
    const call = this.calls.find((c) => c.ref === event.call);
    if (call === undefined) return;
    call.seen.push(event.kind);
    switch (event.kind) {
      case 'proceeding':
        call.state = 'proceeding';
        break;
      case 'alerting':
        call.state = 'alerting';
        call.inBand ||= event.inBand;
        break;
      case 'progress':
        call.inBand ||= event.inBand;
        break;
      case 'connected':
        call.state = 'connected';
        break;
      case 'fast-start-answered':
        call.fast = 'taken';
        for (const c of event.channels) this.#channel(call, c);
        call.faxing = event.channels.some((c) => c.kind === 'image');
        break;
      case 'fast-start-refused':
        call.fast = 'refused';
        break;
      case 'capabilities':
        if (event.master || call.receive !== undefined) this.#openOwn(call, event.capabilities.media);
        this.#openVideo(call, event.capabilities.media);
        break;
      case 'mode-asked': {
        const fax = event.capability.kind === 'image';
        const accepted = this.takesModes && (fax ? this.#hasFax : this.#codecs.length > 0);
        this.command({ kind: 'answer-mode', call: call.ref, accepted });
        if (accepted) this.#enterMode(call, fax);
        break;
      }
      case 'mode-answered':
        call.modes.push(event.accepted);
        if (event.accepted) this.#enterMode(call, !call.faxing);
        break;
      case 'channel-asked':
        if (event.channel.kind === 'image') {
          const local = { rtp: this.faxAddress };
          this.command({ kind: 'accept-channel', call: call.ref, media: 'image', local });
          call.faxReceive = event.channel;
          if (call.send === undefined && call.receive === undefined) this.#enterMode(call, true);
          break;
        }
        if (event.channel.kind === 'video') {
          this.command({ kind: 'accept-channel', call: call.ref, media: 'video', local: this.#localVideo });
          call.videoReceive = event.channel;
          break;
        }
        this.command({ kind: 'accept-channel', call: call.ref, media: 'audio', local: this.#local });
        this.#channel(call, event.channel);
        if (call.send === undefined && !call.held && !call.faxing) this.#open(call, event.channel.capability);
        break;
      case 'channel-opened':
        this.#channel(call, event.channel);
        break;
      case 'channel-closed':
        if (event.media === 'image') {
          if (event.direction === 'send') call.faxSend = undefined;
          else call.faxReceive = undefined;
          break;
        }
        if (event.media === 'video') {
          if (event.direction === 'send') call.videoSend = undefined;
          else call.videoReceive = undefined;
          break;
        }
        if (event.direction === 'send') call.send = undefined;
        else call.receive = undefined;
        break;
      case 'far-hold':
        call.held = true;
        break;
      case 'far-retrieve':
        call.held = false;
        break;
      case 'user-input':
        call.digits += event.digit;
        break;
      case 'released':
        call.state = 'ended';
        call.endCause = event.cause;
        call.endedBy = event.by;
        break;
      default:
        break;
    }
  }

  #openOwn(call: H323SimCall, far: readonly H323Capability[]): void {
    if (call.send !== undefined || call.held || call.faxing) return;
    const codec = this.#codecs.find((c) => far.some((f) => f.codec === c));
    if (codec !== undefined) this.#open(call, this.#capability(codec));
    else if (this.#hasFax && far.some((f) => f.codec === 'T38')) {
      if (call.faxSend === undefined) this.#enterMode(call, true);
    }
  }

  #openVideo(call: H323SimCall, far: readonly H323Capability[]): void {
    const [capability] = this.#videoCapabilities;
    if (capability === undefined || call.videoSend !== undefined || call.videoOpening || call.held) return;
    if (!far.some((f) => f.codec === capability.codec)) return;
    call.videoOpening = true;
    const local = this.#localVideo;
    this.command({ kind: 'open-channel', call: call.ref, capability, local, payloadType: 98 });
  }

  #open(call: H323SimCall, capability: H323Capability): void {
    if (call.openedBy === this.#now() && call.send === undefined && call.openedBy > 0) return;
    call.openedBy = this.#now();
    this.command({ kind: 'open-channel', call: call.ref, capability, local: this.#local });
  }

  #channel(call: H323SimCall, channel: H323Channel): void {
    if (channel.kind === 'image') {
      if (channel.direction === 'send') call.faxSend = channel;
      else call.faxReceive = channel;
      return;
    }
    if (channel.kind === 'video') {
      call.videoOpening = false;
      if (channel.direction === 'send') call.videoSend = channel;
      else call.videoReceive = channel;
      return;
    }
    if (channel.direction === 'send') call.send = channel;
    else call.receive = channel;
  }

  #incoming(event: Extract<H323Event, { kind: 'incoming' }>): void {
    const call = this.#enter({
      ref: event.call,
      number: event.callee.number,
      direction: 'in',
      caller: event.caller,
    });
    call.offers = event.fastStart;
    if (event.fastStart.length > 0 && (this.options.fastStart ?? true)) call.fast = 'offered';
    this.command({ kind: 'capabilities', call: call.ref, capabilities: this.capabilities });
    const answer =
      this.options.answer ??
      (() => {
        this.ring(call);
        this.#later(100, () => {
          if (call.state === 'alerting') this.accept(call);
        });
      });
    answer(call, this);
  }
}
