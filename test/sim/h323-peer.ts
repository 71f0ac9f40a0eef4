/** An H.323 terminal or PBX in memory: our endpoint under a script. */
import type { H323Command, H323Event, H323Input, H323Party } from '../../src/h323/contract.ts';
import { H323Endpoint } from '../../src/h323/endpoint.ts';
import type { FastStartChoice, H323Capability, H323Channel } from '../../src/h323/media-contract.ts';
import type { H323GatekeeperAccess } from '../../src/h323/peer-contract.ts';
import { TpktFramer, tpktPacket } from '../../src/h323/tpkt.ts';
import type { Address } from '../../src/machine/address.ts';
import { SeededRandom } from '../../src/machine/seeded-random.test.ts';
import { systemCrypto } from '../../src/net/providers.ts';
import { H323SimCall } from './h323-call.ts';
import { FAX, SimH323Media, type SimH323MediaOptions } from './h323-media.ts';
import type { H323Host, H323Net } from './h323-net.ts';

export interface SimH323Options extends SimH323MediaOptions {
  readonly name: string;
  /** Call signalling. */
  readonly address: Address;
  readonly gateway: Address;
  readonly mediaPort: number;
  readonly fastStart?: boolean;
  readonly tunnelling?: boolean;
  readonly earlyH245?: boolean;
  /** Registers there (RAS at port 1719 of our address). */
  readonly gatekeeper?: Omit<H323GatekeeperAccess, 'host'>;
  /** Is a gatekeeper itself: password by alias. */
  readonly serves?: Readonly<Record<string, string>>;
  /** Decides what an incoming call does. Default: ring 100 ms, answer. */
  readonly answer?: (call: H323SimCall, peer: SimH323Peer) => void;
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
  readonly #media: SimH323Media;
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
    this.#media = new SimH323Media({ ip: options.address.ip, port: options.mediaPort }, options);
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
      crypto: systemCrypto,
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
    return this.#media.address;
  }

  get faxAddress(): Address {
    return this.#media.local('image').rtp;
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
    const call = new H323SimCall({ ref, number, direction: 'out', caller });
    this.calls.push(call);
    this.command({
      kind: 'setup',
      call: ref,
      peer: 'gateway',
      caller,
      callee: { number, numberType: 'unknown', presentation: 'allowed', verified: false },
      hops: 20,
      capabilities: this.#media.capabilities,
      ...(fastStart ? { fastStart: this.#media.proposals() } : {}),
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
    const [codec] = this.#media.codecs;
    if (!fax && codec === undefined) return;
    const capability = fax ? FAX : this.#media.audio(codec!);
    this.command({ kind: 'request-mode', call: call.ref, capability });
  }

  #enterMode(call: H323SimCall, fax: boolean): void {
    const [codec] = this.#media.codecs;
    if (call.faxing === fax || (!fax && codec === undefined)) return;
    call.faxing = fax;
    const media = fax ? ('audio' as const) : ('image' as const);
    if ((fax ? call.send : call.faxSend) !== undefined)
      this.command({ kind: 'close-channel', call: call.ref, media, direction: 'send' });
    if (fax) call.send = undefined;
    else call.faxSend = undefined;
    const local = this.#media.local(fax ? 'image' : 'audio');
    const capability = fax ? FAX : this.#media.audio(codec!);
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
    return this.#media.choices(call, this.takesFastFax);
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
    call.hear(event);
    switch (event.kind) {
      case 'capabilities':
        if (event.master || call.receive !== undefined) this.#openOwn(call, event.capabilities.media);
        this.#openVideo(call, event.capabilities.media);
        break;
      case 'mode-asked': {
        const fax = event.capability.kind === 'image';
        const accepted = this.takesModes && (fax ? this.#media.hasFax : this.#media.codecs.length > 0);
        this.command({ kind: 'answer-mode', call: call.ref, accepted });
        if (accepted) this.#enterMode(call, fax);
        break;
      }
      case 'mode-answered':
        call.modes.push(event.accepted);
        if (event.accepted) this.#enterMode(call, !call.faxing);
        break;
      case 'channel-asked':
        this.#accept(call, event.channel);
        break;
      default:
        break;
    }
  }

  #accept(call: H323SimCall, channel: H323Channel): void {
    const { kind: media, capability } = channel;
    this.command({ kind: 'accept-channel', call: call.ref, media, local: this.#media.local(media) });
    if (media === 'image') {
      call.faxReceive = channel;
      if (call.send === undefined && call.receive === undefined) this.#enterMode(call, true);
    } else if (media === 'video') {
      call.videoReceive = channel;
    } else {
      call.open(channel);
      if (call.send === undefined && !call.held && !call.faxing) this.#open(call, capability);
    }
  }

  #openOwn(call: H323SimCall, far: readonly H323Capability[]): void {
    if (call.send !== undefined || call.held || call.faxing) return;
    const codec = this.#media.codecs.find((c) => far.some((f) => f.codec === c));
    if (codec !== undefined) this.#open(call, this.#media.audio(codec));
    else if (this.#media.hasFax && far.some((f) => f.codec === 'T38')) {
      if (call.faxSend === undefined) this.#enterMode(call, true);
    }
  }

  #openVideo(call: H323SimCall, far: readonly H323Capability[]): void {
    const capability = this.#media.video;
    if (capability === undefined || call.videoSend !== undefined || call.videoOpening || call.held) return;
    if (!far.some((f) => f.codec === capability.codec)) return;
    call.videoOpening = true;
    const local = this.#media.local('video');
    this.command({ kind: 'open-channel', call: call.ref, capability, local, payloadType: 98 });
  }

  #open(call: H323SimCall, capability: H323Capability): void {
    if (call.openedBy === this.#now() && call.send === undefined && call.openedBy > 0) return;
    call.openedBy = this.#now();
    this.command({ kind: 'open-channel', call: call.ref, capability, local: this.#media.local('audio') });
  }

  #incoming(event: Extract<H323Event, { kind: 'incoming' }>): void {
    const call = new H323SimCall({
      ref: event.call,
      number: event.callee.number,
      direction: 'in',
      caller: event.caller,
    });
    this.calls.push(call);
    call.offers = event.fastStart;
    if (event.fastStart.length > 0 && (this.options.fastStart ?? true)) call.fast = 'offered';
    this.command({ kind: 'capabilities', call: call.ref, capabilities: this.#media.capabilities });
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
