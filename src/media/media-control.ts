import { toHex } from '../bytes/text.ts';
import type { LegPorts, LegStream } from '../call/leg.ts';
import type { Millis, Random } from '../machine/machine.ts';
import { Timers } from '../machine/timers.ts';
import type { CallId, FormatName } from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';
import { CallCounters } from './call-counters.ts';
import { CallPorts } from './call-ports.ts';
import { isAuxiliary } from './codec-policy.ts';
import { FORMAT_FACTS } from './formats.ts';
import type {
  PlaneCommand,
  PlaneEvent,
  RtpBase,
  SessionId,
  StreamCounters,
  StreamId,
  StreamLegConfig,
} from './plane-contract.ts';
import { type PoolConfig, PortPools, type PortWish } from './port-pools.ts';
import { Movement, SilenceWatch } from './silence-watch.ts';
import { isUsable, legConfig, type MediaCall, mustRelearn } from './stream-config.ts';

export interface MediaControlOptions {
  readonly random: Random;
  /** In order of preference where no address family is wished. */
  readonly pools: readonly PoolConfig[];
  /** Greatest number of calls that hold ports or streams. */
  readonly maxCalls: number;
  /** Media workers here; default 1. With one, a shared pair can be given before it is known who serves the call. */
  readonly workers?: number;
  /** A released pair of ports rests this long; default and least sensible 10 000 ms. */
  readonly restMs?: number;
  /** How long after (re-)negotiation a source may be learned; default 5000 ms. */
  readonly latchWindowMs?: number;
  /** An answered call without a packet either way for so long is told (`silence`); asked each time, 0 or absent: never. */
  readonly silenceMs?: () => Millis;
}

export type MediaOutput =
  | { readonly kind: 'command'; readonly shard: number; readonly command: PlaneCommand }
  /** A stream could not be opened. Its port stands in a description already, so another will not do: release the call, cause 47. */
  | { readonly kind: 'failed'; readonly call: CallId; readonly index: number; readonly reason: string }
  /** No valid packet for 30 s although one was expected. */
  | { readonly kind: 'silent'; readonly call: CallId; readonly index: number }
  /** A stream of the call is a fax from now on. */
  | { readonly kind: 'fax'; readonly call: CallId; readonly index: number }
  /** No packet either way for `silenceMs` on any stream of an answered call that is to carry some both ways; told once. */
  | { readonly kind: 'silence'; readonly call: CallId; readonly ms: Millis }
  /** A digit that came in the media and that the far end of this leg cannot take there. */
  | {
      readonly kind: 'digit';
      readonly call: CallId;
      readonly index: number;
      readonly digit: string;
      readonly durationMs: number;
    }
  /** After `release`: every stream is closed (or has had its time), `counters` are final. */
  | { readonly kind: 'finished'; readonly call: CallId };

interface OpenStream {
  readonly shard: number;
  config: StreamLegConfig;
  /** The plane has said whose packets it takes. */
  locked: boolean;
  readonly movement: Movement;
}

interface CallMedia {
  readonly call: CallId;
  data: MediaCall | undefined;
  readonly cname: string;
  readonly ports: CallPorts;
  readonly open: Map<number, OpenStream>;
  /** Closes commanded and not yet confirmed, by index. */
  readonly closing: Map<number, number>;
  readonly counters: CallCounters;
  readonly codecs: Map<number, readonly FormatName[]>;
  answered: boolean;
  toldSilence: boolean;
  released: boolean;
  finished: boolean;
  /** What `update` was given last; undefined where the plane closed something since. */
  applied: readonly LegStream[] | undefined;
  /** The same, where something of it is opened only once the call is answered. */
  waiting: readonly LegStream[] | undefined;
}

/** The plane confirms a close within milliseconds; a worker that died does not. */
const CLOSE_WAIT_MS = 2000;
/** A finished call whose counters nobody fetched. */
const FORGET_MS = 60_000;
const REST_MS = 10_000;
const LATCH_WINDOW_MS = 5000;

/**
 * Which ports and streams each call has, as commands to the media plane. Pure: ports are only reckoned here; a worker binds one when
 * it gets `open`, after its number may have been announced, so a bind that fails ends the call (`failed`). A stream keeps its
 * port as long as the call lives, also while it is refused or removed. The worker of a shard that died is given its streams
 * back by the plane's supervisor; here only the counters are kept through it.
 */
export class MediaControl {
  readonly #options: MediaControlOptions;
  readonly #pools: PortPools;
  readonly #silence: SilenceWatch;
  readonly #calls = new Map<CallId, CallMedia>();
  readonly #streams = new Map<string, { readonly media: CallMedia; readonly index: number }>();
  readonly #timers = new Timers<CallId>();
  /** Legs that went over to another call (`move`): whose ports theirs are now. */
  readonly #moved = new Map<CallId, CallId>();
  #out: MediaOutput[] = [];
  #head = 0;
  #now: Millis = 0;
  #refusedCalls = 0;

  constructor(options: MediaControlOptions) {
    this.#options = options;
    this.#pools = new PortPools(options.pools, options.restMs ?? REST_MS, options.random);
    this.#silence = new SilenceWatch(() => options.silenceMs?.() ?? 0);
  }

  get sizes(): { readonly calls: number; readonly ports: number; readonly streams: number } {
    return { calls: this.#calls.size, ports: this.#pools.inUse, streams: this.#streams.size };
  }

  /** Allocations refused because no pair was free or there were too many calls. */
  get exhausted(): number {
    return this.#pools.exhausted + this.#refusedCalls;
  }

  /** The time it is: a port asked for by a negotiation is judged rested or not by it. */
  at(now: Millis): void {
    this.#now = Math.max(this.#now, now);
  }

  /**
   * Ports for one call's leg. `family`: where the negotiation has no wish (our own offer), that of the signalling peer. `shared`: its media comes
   * from where signalling says, each stream from an address and port of its own, and policy lets it use ports that others use too.
   */
  ports(call: CallId, family?: 4 | 6, shared = false): LegPorts {
    return {
      allocate: (index, _kind, wished) =>
        this.#allocate(call, index, { family: wished ?? family, strict: wished !== undefined }, shared),
    };
  }

  /** Before the first `update` of a call that is let in. */
  begin(data: MediaCall): void {
    const media = this.#enter(data.call);
    if (media === undefined || media.data !== undefined || media.released) return;
    media.data = data;
    media.ports.announced = true;
  }

  /** The streams of a call's leg as they shall be now; what is not listed or not active is closed. */
  update(call: CallId, streams: readonly LegStream[], now: Millis): void {
    this.#now = Math.max(this.#now, now);
    const media = this.#calls.get(call);
    if (media?.data === undefined || media.released || streams === media.applied) return;
    media.applied = streams;
    for (const index of [...media.open.keys()]) {
      const wanted = streams.find((s) => s.index === index);
      if (wanted === undefined || !isUsable(wanted)) this.#close(media, index);
    }
    for (const stream of streams) if (isUsable(stream)) this.#apply(media, media.data, stream);
  }

  /**
   * The call was answered: streams that were to latch and heard nobody while it rang get a new window, because a far end may
   * send its first packet only now. A source that is locked stays.
   */
  connected(call: CallId, now: Millis): void {
    this.#now = Math.max(this.#now, now);
    const media = this.#calls.get(call);
    if (media === undefined) return;
    media.answered = true;
    for (const stream of media.open.values()) {
      stream.movement.restart(now);
      if (stream.config.source !== 'latch' || stream.locked) continue;
      this.#modify(stream, stream.config, true);
    }
    const { waiting } = media;
    media.waiting = undefined;
    if (waiting === undefined || waiting !== media.applied) return;
    media.applied = undefined;
    this.update(call, waiting, now);
  }

  /** Sends one RFC 4733 digit towards the far end; false where the stream takes none. */
  digit(call: CallId, index: number, digit: string, durationMs: number): boolean {
    const stream = this.#calls.get(call)?.open.get(index);
    if (!stream?.config.formats.some((f) => f.kind === 'event' && f.sendPayloadType >= 0)) return false;
    const { session, stream: id } = stream.config;
    this.#command(stream.shard, { kind: 'digit', session, stream: id, digit, durationMs });
    return true;
  }

  /** The call is over: closes its streams; `finished` follows. Ports rest from the moment the plane has closed them. */
  release(call: CallId, now: Millis): void {
    this.#now = Math.max(this.#now, now);
    const media = this.#calls.get(call);
    if (media === undefined || media.released) return;
    media.released = true;
    for (const index of [...media.open.keys()]) this.#close(media, index);
    for (const index of media.ports.indices)
      if (!media.closing.has(index)) media.ports.free(index, this.#now);
    if (media.closing.size === 0) this.#finish(media);
    else this.#timers.set(call, now + CLOSE_WAIT_MS);
  }

  /** Drops what is still known of a released call (its counters). */
  forget(call: CallId): void {
    const media = this.#calls.get(call);
    if (media === undefined) return;
    if (!media.released) this.release(call, this.#now);
    if (!media.finished) this.#finish(media);
    this.#remove(media);
  }

  /**
   * The leg of `from` goes over to `to` (a transfer), which has begun and has none yet: its ports go with it. Streams are closed and
   * opened again, as theirs are other stream ids of the tunnel. Where the two calls have different shards a port may still be bound.
   */
  move(from: CallId, to: CallId, now: Millis): void {
    this.#now = Math.max(this.#now, now);
    const a = this.#calls.get(from);
    const b = this.#calls.get(to);
    if (a === undefined || b === undefined || a.released || b.released) return;
    for (const index of [...a.open.keys()]) this.#close(a, index);
    a.ports.moveTo(b.ports);
    for (const [was, is] of this.#moved) if (is === from) this.#moved.set(was, to);
    this.#moved.set(from, to);
  }

  /** The worker of `shard` died. */
  shardLost(shard: number): void {
    for (const media of [...this.#calls.values()]) {
      if (media.data?.shard !== shard) continue;
      media.counters.workerLost();
      for (const index of [...media.closing.keys()]) this.#closed(media, index, true);
    }
  }

  /** Where nobody else gives a lost worker's streams to a successor: opens them all (again) on `on`. */
  reopen(shard: number, on = shard): void {
    for (const media of this.#calls.values()) {
      for (const [index, { shard: was, config }] of media.open) {
        if (was !== shard) continue;
        media.open.set(index, { shard: on, config, locked: false, movement: new Movement(this.#now) });
        this.#command(on, { kind: 'open', leg: config });
      }
    }
  }

  /** `shard`: of which worker; undefined: there is only one. */
  event(event: PlaneEvent, now: Millis, shard?: number): void {
    this.#now = Math.max(this.#now, now);
    switch (event.kind) {
      case 'counters':
        for (const counters of event.streams) this.#counted(counters);
        for (const { call, ms } of this.#silence.counted(shard, this.#calls.values(), this.#now))
          this.#out.push({ kind: 'silence', call, ms });
        break;
      case 'closed':
        this.#planeClosed(event.counters);
        break;
      case 'open-failed':
        this.#openFailed(event, event.reason);
        break;
      case 'source-locked': {
        const found = this.#find(event);
        const stream = found?.media.open.get(found.index);
        if (stream !== undefined) stream.locked = true;
        break;
      }
      case 'digit': {
        const found = this.#find(event);
        if (found?.media.released === false) {
          const { digit, durationMs } = event;
          this.#out.push({ kind: 'digit', call: found.media.call, index: found.index, digit, durationMs });
        }
        break;
      }
      case 'silent': {
        const found = this.#find(event);
        if (found?.media.released === false) {
          this.#out.push({ kind: 'silent', call: found.media.call, index: found.index });
        }
        break;
      }
      case 'shard-lost':
        this.shardLost(event.shard);
        break;
      default:
        break;
    }
  }

  timeout(now: Millis): void {
    this.#now = Math.max(this.#now, now);
    for (let call = this.#timers.take(now); call !== undefined; call = this.#timers.take(now)) {
      const media = this.#calls.get(call);
      if (media === undefined) continue;
      if (media.finished) this.#remove(media);
      else this.#finish(media);
    }
  }

  deadline(): Millis | undefined {
    return this.#timers.next();
  }

  poll(): MediaOutput | undefined {
    const output = this.#out[this.#head++];
    if (output === undefined) {
      this.#out = [];
      this.#head = 0;
    }
    return output;
  }

  /** Counters of every stream the call has or had, by index; zero counts as none where the plane has nothing to report. */
  counters(call: CallId): readonly StreamCounters[] {
    const media = this.#calls.get(call);
    return media?.counters.all(media.open) ?? [];
  }

  /**
   * Names of the formats a stream was set up with, first of those agreed: the last of each kind of media, as speech becomes a fax and speech
   * again. Empty where unknown.
   */
  codecs(call: CallId, stream: StreamId): readonly FormatName[] {
    const media = this.#calls.get(call);
    return media?.codecs.get(stream - (media.data?.streamBase ?? 0)) ?? [];
  }

  // ---- ports ------------------------------------------------------------------------------------------------------

  #enter(call: CallId): CallMedia | undefined {
    const known = this.#calls.get(call);
    if (known !== undefined) return known;
    if (this.#calls.size >= this.#options.maxCalls) {
      this.#refusedCalls++;
      return undefined;
    }
    const media: CallMedia = {
      call,
      data: undefined,
      cname: toHex(this.#options.random.bytes(6)),
      ports: new CallPorts(this.#pools),
      open: new Map(),
      closing: new Map(),
      counters: new CallCounters(call),
      codecs: new Map(),
      answered: false,
      toldSilence: false,
      released: false,
      finished: false,
      applied: undefined,
      waiting: undefined,
    };
    this.#calls.set(call, media);
    return media;
  }

  #allocate(
    call: CallId,
    index: number,
    wish: Omit<PortWish, 'sharedBy'>,
    shared: boolean,
  ): ReturnType<LegPorts['allocate']> {
    const media = this.#enter(this.#moved.get(call) ?? call);
    if (media === undefined || media.released || index < 0 || index >= META_LIMITS.streams) return undefined;
    const bound = media.open.has(index) || media.closing.has(index);
    const sharedBy = shared ? this.#shardOf(media) : undefined;
    return media.ports.allocate(index, { ...wish, sharedBy }, bound, this.#now);
  }

  /** Undefined: not known yet. */
  #shardOf(media: CallMedia): number | undefined {
    return media.data?.shard ?? ((this.#options.workers ?? 1) === 1 ? 0 : undefined);
  }

  // ---- streams ----------------------------------------------------------------------------------------------------

  #apply(media: CallMedia, data: MediaCall, stream: LegStream): void {
    const { index } = stream;
    const codec = stream.formats.find((f) => !isAuxiliary(f.format.name))?.format.name;
    if (codec !== undefined) noteCodec(media.codecs, index, codec);
    const current = media.open.get(index);
    const kept = current?.config.kind === stream.kind ? current.config.rtpBase : undefined;
    const shared = media.ports.isShared(index);
    const local = shared ? { ...stream.local!, shared } : stream.local!;
    const config = legConfig({ ...stream, local }, data, {
      cname: media.cname,
      latchWindowMs: this.#options.latchWindowMs ?? LATCH_WINDOW_MS,
      rtpBase: kept ?? rtpBase(this.#options.random),
    });
    if (current !== undefined && current.config.kind === config.kind) {
      if (sameConfig(current.config, config)) return;
      this.#modify(current, config, mustRelearn(current.config, config, current.locked));
      return;
    }
    // A worker binds the port when the first packet may pass: of an offer not yet answered there is none.
    if (current === undefined && config.direction === 'inactive' && !media.answered) {
      media.waiting = media.applied;
      return;
    }
    // Another kind in the same place (T.38 for audio) is another stream on the same port.
    if (current !== undefined) this.#close(media, index);
    media.open.set(index, { shard: data.shard, config, locked: false, movement: new Movement(this.#now) });
    this.#streams.set(streamKey(config), { media, index });
    this.#command(data.shard, { kind: 'open', leg: config });
    if (config.kind === 'image') this.#out.push({ kind: 'fax', call: media.call, index });
  }

  #modify(stream: OpenStream, config: StreamLegConfig, relearn: boolean): void {
    stream.config = config;
    stream.movement.restart(this.#now);
    if (relearn) stream.locked = false;
    this.#command(stream.shard, { kind: 'modify', leg: config, relearn });
  }

  #counted(counters: StreamCounters): void {
    const found = this.#find(counters);
    if (found === undefined) return;
    const { media, index } = found;
    media.counters.latest(index, counters);
    media.open.get(index)?.movement.counted(counters, this.#now);
  }

  #close(media: CallMedia, index: number): void {
    const stream = media.open.get(index);
    if (stream === undefined) return;
    media.open.delete(index);
    media.closing.set(index, (media.closing.get(index) ?? 0) + 1);
    const { session, stream: id } = stream.config;
    this.#command(stream.shard, { kind: 'close', session, stream: id });
  }

  #planeClosed(counters: StreamCounters): void {
    const found = this.#find(counters);
    if (found === undefined) return;
    const { media, index } = found;
    media.applied = undefined;
    media.counters.final(index, counters);
    if (media.closing.has(index)) this.#closed(media, index, false);
    else media.open.delete(index); // the plane ended it by itself (its session is over); an update would open it anew
  }

  #openFailed(stream: { readonly session: SessionId; readonly stream: StreamId }, reason: string): void {
    const found = this.#find(stream);
    if (found === undefined) return;
    const { media, index } = found;
    if (media.closing.has(index)) {
      this.#closed(media, index, false);
      return;
    }
    media.open.delete(index);
    media.applied = undefined;
    if (!media.released) this.#out.push({ kind: 'failed', call: media.call, index, reason });
  }

  /** One close of a stream is confirmed, or (`all`) none will be. */
  #closed(media: CallMedia, index: number, all: boolean): void {
    const left = all ? 0 : (media.closing.get(index) ?? 0) - 1;
    if (left > 0) {
      media.closing.set(index, left);
      return;
    }
    media.closing.delete(index);
    if (!media.released) return;
    media.ports.free(index, this.#now);
    if (media.closing.size === 0) this.#finish(media);
  }

  #finish(media: CallMedia): void {
    if (media.finished) return;
    media.finished = true;
    media.closing.clear();
    media.ports.freeAll(this.#now);
    if (media.data !== undefined) this.#out.push({ kind: 'finished', call: media.call });
    if (media.counters.none) this.#remove(media);
    else this.#timers.set(media.call, this.#now + FORGET_MS);
  }

  #remove(media: CallMedia): void {
    this.#timers.set(media.call, undefined);
    this.#calls.delete(media.call);
    for (const [was, is] of this.#moved) if (is === media.call) this.#moved.delete(was);
    const { data } = media;
    if (data === undefined) return;
    for (let index = 0; index < META_LIMITS.streams; index++) {
      const key = streamKey({ session: data.session, stream: data.streamBase + index });
      if (this.#streams.get(key)?.media === media) this.#streams.delete(key);
    }
  }

  #find(stream: { readonly session: SessionId; readonly stream: StreamId }) {
    return this.#streams.get(streamKey(stream));
  }

  #command(shard: number, command: PlaneCommand): void {
    this.#out.push({ kind: 'command', shard, command });
  }
}

/** Mostly it is the far end's address that is new. */
function sameConfig(a: StreamLegConfig, b: StreamLegConfig): boolean {
  return a.remote?.port === b.remote?.port && JSON.stringify(a) === JSON.stringify(b);
}

function rtpBase(random: Random): RtpBase {
  return { ssrc: random.uint32(), sequence: random.uint32() & 0xffff, timestamp: random.uint32() };
}

function noteCodec(codecs: Map<number, readonly FormatName[]>, index: number, codec: FormatName): void {
  const known = codecs.get(index) ?? [];
  if (known.includes(codec)) return;
  const kind = FORMAT_FACTS[codec].media;
  const at = known.findIndex((name) => FORMAT_FACTS[name].media === kind);
  codecs.set(index, at < 0 ? [...known, codec] : known.with(at, codec));
}

function streamKey(stream: { readonly session: SessionId; readonly stream: StreamId }): string {
  return `${stream.stream} ${stream.session}`;
}
