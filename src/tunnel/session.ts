/**
 * The signalling side of connection control: one `TunnelSession` per pair of gateways. docs/tunnel.md draws the frames and
 * tells the sequences; this file keeps their order: connections come and go, the session stays.
 */
import type { Crypto, Machine, Millis, Random } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import type { CloseReason } from './close-reason.ts';
import type {
  TunnelConnectionRef,
  TunnelEvent,
  TunnelInput,
  TunnelOptions,
  TunnelOutput,
} from './contract.ts';
import { encodeFrame, type Frame, MAX_FENCE } from './frame.ts';
import { type AbandonedSession, Greeter } from './greeting.ts';
import { type Hello, type HelloAck, validName } from './hello.ts';
import { Link, type Offer } from './link.ts';
import { OutputQueue } from './output-queue.ts';
import { Redial } from './redial.ts';
import {
  MAX_WAITING_PAYLOADS,
  newCounters,
  type SessionState,
  type TunnelCounters,
} from './session-state.ts';

const HELLO_WITHIN_MS = 5000;
const DIAL_WITHIN_MS = 10_000;
const FENCE_WITHIN_MS = 10_000;
/** A payload is acknowledged so long after it came, or with so many others, or with our own next payload: whichever is first. */
const ACKNOWLEDGE_WITHIN_MS = 100;
const ACKNOWLEDGE_AFTER = 32;
/** A connection that lasted this long resets the backoff. */
const STABLE_AFTER_MS = 10_000;
/** Connections of one site at a time, the active one among them; the oldest other one makes room. */
const MAX_LINKS = 4;
const DATA_BURST = 2 * MAX_WAITING_PAYLOADS;
const DATA_PER_SECOND = 4000;
const TAKEOVER_BURST = 6;
const TAKEOVERS_PER_SECOND = 0.1;
const OFFER_BURST = 20;
const OFFERS_PER_SECOND = 1;

export class TunnelSession implements Machine<TunnelInput, TunnelOutput> {
  readonly counters: TunnelCounters = newCounters();
  readonly #options: TunnelOptions;
  readonly #greeter: Greeter;
  readonly #out = new OutputQueue();
  readonly #links = new Map<TunnelConnectionRef, Link>();
  #active: Link | undefined;
  #session: SessionState | undefined;
  /** Dialer. */
  #abandoned: AbandonedSession | undefined;
  #nextRef: TunnelConnectionRef = 1;
  readonly #redial: Redial;
  #lostAt: Millis | undefined;
  #renewWanted = false;
  #renewAskedAt = Number.NEGATIVE_INFINITY;
  #draining = false;
  #stopped = false;
  #alarmAllowedAt = Number.NEGATIVE_INFINITY;
  #dataRate: TokenBucket | undefined;
  #takeovers: TokenBucket | undefined;
  #offers: TokenBucket | undefined;

  constructor(options: TunnelOptions, crypto: Crypto, random: Random) {
    if (!validName(options.name) || !validName(options.peerName)) throw new Error('tunnel: invalid name');
    if (!/^[0-9a-f]{16}$/.test(options.bootId.nonce))
      throw new Error('tunnel: boot id nonce is 16 hex digits');
    this.#options = options;
    this.#greeter = new Greeter(options, crypto, random);
    this.#redial = new Redial(options.backoff, random);
    if (options.role === 'dialer') this.#redial.at = 0; // at the first chance
  }

  /** Unacknowledged payloads, for metrics. */
  get waiting(): number {
    return this.#session?.outbox.count ?? 0;
  }

  get up(): boolean {
    return this.#active !== undefined;
  }

  poll(): TunnelOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis | undefined {
    let next = Math.min(
      this.#redial.at ?? Number.POSITIVE_INFINITY,
      this.#lostAt ?? Number.POSITIVE_INFINITY,
    );
    for (const link of this.#links.values()) next = Math.min(next, this.#linkDeadline(link));
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  handle(input: TunnelInput, now: Millis): void {
    if (this.#stopped) {
      this.#handleStopped(input);
      return;
    }
    this.#forgiveOwnPause(now);
    switch (input.kind) {
      case 'timeout':
        this.#onTimeout(now);
        break;
      case 'connected':
        this.#onConnected(input.connection, input.exporter, now);
        break;
      case 'data':
        this.#onData(input.connection, input.bytes, now);
        break;
      case 'closed':
        this.#onClosed(input.connection, input.reason, now);
        break;
      case 'send':
        this.#onSend(input.payload, input.mayWait === true, now);
        break;
      case 'fence':
        this.#onFenceAnswer(input.body, now);
        break;
      case 'renew':
        this.#onRenew();
        break;
      case 'drain':
        this.#draining = true;
        if (this.#active !== undefined) this.#transmit(this.#active, { type: 'drain' });
        break;
      case 'stop':
        this.#onStop(now);
        break;
    }
    this.#ensureDial(now);
  }

  // ---- timers ----------------------------------------------------------------------------------------------------

  #linkDeadline(link: Link): Millis {
    if (link.phase !== 'active') return link.deadline;
    return Math.min(
      link.nextHeartbeat,
      link.deadAt(this.#options.deadAfterMs),
      link.fenceDeadline ?? Number.POSITIVE_INFINITY,
      link.acknowledgeAt ?? Number.POSITIVE_INFINITY,
    );
  }

  /** A late call means this process slept; heartbeats it did not send or read are no sign of a dead link. */
  #forgiveOwnPause(now: Millis) {
    const late = now - (this.deadline() ?? now);
    if (late <= this.#options.deadAfterMs / 2) return;
    for (const link of this.#links.values()) link.forgive(late);
  }

  #onTimeout(now: Millis) {
    for (const link of [...this.#links.values()]) this.#checkLink(link, now);
    if (this.#lostAt !== undefined && now >= this.#lostAt) this.#lose('not resumed in time');
    if (this.#redial.at !== undefined && now >= this.#redial.at) this.#dial(now);
  }

  #checkLink(link: Link, now: Millis) {
    if (link.phase !== 'active') {
      if (now >= link.deadline) {
        this.#close(link, link.phase === 'dialing' ? 'dial-timeout' : 'hello-timeout', now);
      }
    } else if (now >= link.deadAt(this.#options.deadAfterMs)) {
      this.#close(link, 'dead', now);
    } else if (link.fenceDeadline !== undefined && now >= link.fenceDeadline) {
      this.#close(link, 'fence-timeout', now);
    } else {
      if (now >= link.nextHeartbeat) this.#beat(link, now);
      if (this.#session !== undefined && now >= (link.acknowledgeAt ?? Number.POSITIVE_INFINITY)) {
        this.#acknowledge(link, this.#session, now);
      }
    }
  }

  #beat(link: Link, now: Millis) {
    link.nextHeartbeat = now + this.#options.heartbeatEveryMs;
    this.#transmit(link, { type: 'heartbeat', id: link.beat(now) });
  }

  // ---- connections -----------------------------------------------------------------------------------------------

  /** Dialer: where nothing is up or on its way, a dial is due after the backoff (full jitter). */
  #ensureDial(now: Millis) {
    if (this.#options.role !== 'dialer' || this.#stopped) return;
    if (this.#active !== undefined && !this.#renewWanted) return;
    for (const link of this.#links.values()) if (link !== this.#active) return;
    this.#redial.schedule(now);
  }

  #dial(now: Millis) {
    this.#redial.at = undefined;
    const link = new Link(this.#nextRef++, this.#options.maxPayload, now, now + DIAL_WITHIN_MS);
    this.#links.set(link.ref, link);
    this.#out.push({ kind: 'dial', connection: link.ref });
  }

  #onConnected(ref: TunnelConnectionRef, exporter: Uint8Array, now: Millis) {
    const known = this.#links.get(ref);
    if (this.#options.role === 'dialer' && known?.phase !== 'dialing') {
      // Answer to a dial that was given up meanwhile.
      this.#out.push({ kind: 'close', connection: ref, reason: 'dial-timeout' });
      return;
    }
    if (this.#options.role === 'acceptor') this.#makeRoom(now);
    const link = known ?? new Link(ref, this.#options.maxPayload, now, now);
    this.#links.set(ref, link);
    this.counters.connections++;
    link.phase = 'greeting';
    link.exporter = exporter.slice();
    link.heard = now;
    link.deadline = now + HELLO_WITHIN_MS;
    if (this.#options.role === 'acceptor') return;
    const hello = this.#greeter.hello(this.#session, this.#abandoned, exporter);
    link.told = hello.claim?.received ?? 0;
    this.#transmit(link, { type: 'hello', hello });
  }

  #makeRoom(now: Millis) {
    while (this.#links.size >= MAX_LINKS) {
      const oldest = [...this.#links.values()].find((link) => link !== this.#active)!;
      this.#close(oldest, 'too-many-connections', now);
    }
  }

  #onClosed(ref: TunnelConnectionRef, reason: string, now: Millis) {
    const link = this.#links.get(ref);
    if (link !== undefined) this.#forget(link, reason, now);
  }

  /** Closes a connection for a reason that the far end is told and that is counted. */
  #close(link: Link, reason: CloseReason, now: Millis) {
    this.counters.closed[reason] = (this.counters.closed[reason] ?? 0) + 1;
    if (link.phase !== 'dialing') this.#transmit(link, { type: 'close', reason });
    this.#out.push({ kind: 'close', connection: link.ref, reason });
    this.#forget(link, reason, now);
  }

  #forget(link: Link, reason: string, now: Millis) {
    this.#links.delete(link.ref);
    if (link !== this.#active) {
      const inVain = this.#options.role === 'dialer' && link.phase !== 'active' && !this.#stopped;
      if (inVain) this.#event({ kind: 'dial-failed', reason });
      return;
    }
    this.#active = undefined;
    if (now - link.activeSince >= STABLE_AFTER_MS) this.#redial.reset();
    this.#lostAt = now + this.#options.resumeWithinMs;
    this.#event({ kind: 'down', reason });
  }

  #onRenew() {
    if (this.#active === undefined) return;
    if (this.#options.role === 'dialer') this.#renewWanted = true;
    else this.#transmit(this.#active, { type: 'renew' });
  }

  #onStop(now: Millis) {
    this.#stopped = true;
    this.#redial.at = undefined;
    for (const link of [...this.#links.values()]) this.#close(link, 'stop', now);
    if (this.#session !== undefined) this.#lose('stopped');
  }

  #handleStopped(input: TunnelInput) {
    if (input.kind === 'connected') {
      this.#out.push({ kind: 'close', connection: input.connection, reason: 'stop' });
    } else if (input.kind === 'send') {
      this.#undelivered('stopped', 1);
    }
  }

  // ---- greeting --------------------------------------------------------------------------------------------------

  #onHello(link: Link, hello: Hello, now: Millis) {
    this.#takeovers ??= new TokenBucket(TAKEOVER_BURST, TAKEOVERS_PER_SECOND, now);
    const takeovers = this.#takeovers;
    const answer = this.#greeter.answer(hello, this.#session, link.exporter, {
      live: this.#active !== undefined && now - this.#active.heard < 2 * this.#options.heartbeatEveryMs,
      mayTakeOver: () => takeovers.take(now),
    });
    if (answer.alarm !== undefined) this.#alarm(answer.alarm, now);
    if ('refuse' in answer) return this.#close(link, answer.refuse, now);
    // A resume costs a replay and two call lists: who has the right to it may not have it all the time.
    this.#offers ??= new TokenBucket(OFFER_BURST, OFFERS_PER_SECOND, now);
    if (!this.#offers.take(now)) return this.#close(link, 'takeover-rate', now);
    link.phase = 'offered';
    link.deadline = now + HELLO_WITHIN_MS;
    link.offer = answer.offer;
    link.told = answer.offer.resumed ? answer.offer.session.received : 0;
    this.#transmit(link, { type: 'hello-ack', ack: answer.ack });
  }

  #onHelloAck(link: Link, ack: HelloAck, now: Millis) {
    const answer = this.#greeter.accept(ack, this.#session, link.exporter);
    if ('refuse' in answer) return this.#close(link, answer.refuse, now);
    if (!answer.offer.resumed) link.told = 0;
    this.#activate(link, answer.offer, now);
  }

  /** Moves the session to `link`; make before break: the connection that carried it is closed only now. */
  #activate(link: Link, offer: Offer, now: Millis) {
    if (offer.against !== this.#session) return this.#close(link, 'session-held', now);
    const previous = this.#active;
    this.#active = link;
    link.phase = 'active';
    link.offer = undefined;
    link.activeSince = now;
    link.acknowledged = offer.received;
    offer.session.outbox.acknowledge(offer.received);
    link.acknowledgedToPeer = link.told;
    this.#renewWanted = false;
    this.#redial.at = undefined;
    this.#lostAt = undefined;
    this.#beat(link, now);
    if (previous !== undefined && now - previous.activeSince >= STABLE_AFTER_MS) this.#redial.reset();
    if (previous !== undefined) this.#close(previous, offer.resumed ? 'renewed' : 'replaced', now);
    if (offer.resumed) this.#resume(link, offer, previous === undefined, now);
    else this.#begin(offer.session, previous !== undefined);
    if (this.#draining) this.#transmit(link, { type: 'drain' });
  }

  #begin(session: SessionState, wasUp: boolean) {
    if (wasUp) this.#event({ kind: 'down', reason: 'replaced' });
    if (this.#session !== undefined) this.#lose('the far end began a new session');
    this.#session = session;
    this.#abandoned = undefined;
    this.counters.sessions++;
    const { id, keys, shards, metaMinor } = session;
    this.#event({ kind: 'session', session: id, laneKey: keys.lane.slice(), shards, metaMinor });
    this.#event({ kind: 'up', resumed: false });
  }

  #resume(link: Link, offer: Offer, wasDown: boolean, now: Millis) {
    this.counters.resumes++;
    if (wasDown) this.#event({ kind: 'up', resumed: true });
    for (const { number, payload } of offer.session.outbox.after(offer.received)) {
      this.counters.replayed++;
      this.#transmitData(link, offer.session, number, payload);
    }
    if (this.#options.role === 'acceptor') {
      link.fence = 'mark';
      this.#event({ kind: 'fence-wanted' });
    } else {
      link.fence = 'await-sync';
      link.fenceDeadline = now + FENCE_WITHIN_MS;
    }
  }

  #lose(reason: string) {
    const session = this.#session!;
    this.#session = undefined;
    this.#lostAt = undefined;
    if (this.#options.role === 'dialer') this.#abandoned = { id: session.id, resume: session.keys.resume };
    this.counters.lost++;
    if (session.outbox.count > 0) this.#undelivered('lost', session.outbox.count);
    this.#event({ kind: 'lost', reason });
  }

  // ---- frames ----------------------------------------------------------------------------------------------------

  #onData(ref: TunnelConnectionRef, bytes: Uint8Array, now: Millis) {
    const link = this.#links.get(ref);
    if (link === undefined || link.phase === 'dialing') return;
    link.reader.push(bytes);
    while (this.#links.get(ref) === link) {
      const frame = link.reader.next();
      if (frame === undefined) break;
      if (!frame.ok) return this.#close(link, frame.error, now);
      link.heard = now;
      this.#onFrame(link, frame.value, now);
    }
    if (link === this.#active && this.#session !== undefined) this.#acknowledge(link, this.#session, now);
  }

  #onFrame(link: Link, frame: Frame, now: Millis) {
    if (frame.type === 'close') return this.#onCloseFrame(link, frame.reason, now);
    if (link.phase === 'greeting') {
      const dialer = this.#options.role === 'dialer';
      if (frame.type === 'hello' && !dialer) return this.#onHello(link, frame.hello, now);
      if (frame.type === 'hello-ack' && dialer) return this.#onHelloAck(link, frame.ack, now);
      return this.#close(link, 'unexpected-frame', now);
    }
    if (frame.type === 'hello' || frame.type === 'hello-ack')
      return this.#close(link, 'unexpected-frame', now);
    if (link.phase === 'offered') this.#activate(link, link.offer!, now);
    const session = this.#session;
    if (link === this.#active && session !== undefined) this.#onSessionFrame(link, session, frame, now);
  }

  #onSessionFrame(link: Link, session: SessionState, frame: Frame, now: Millis) {
    switch (frame.type) {
      case 'data':
        return this.#onDataFrame(link, session, frame, now);
      case 'ack':
        // An ack that says nothing new is not sent by anyone, so it cannot be used to keep us busy.
        if (frame.acknowledged === link.acknowledged) return this.#close(link, 'acknowledgement-range', now);
        this.#onAcknowledged(link, session, frame.acknowledged, now);
        return;
      case 'heartbeat-reply': {
        const ms = link.reply(frame.id, now);
        if (ms === undefined) return this.#close(link, 'heartbeat-reply', now);
        return this.#event({ kind: 'round-trip', ms });
      }
      case 'sync':
      case 'fence':
        return this.#onFenceFrame(link, frame, now);
      case 'heartbeat':
      case 'renew':
      case 'drain':
        return this.#onControlFrame(link, frame, now);
      case 'hello':
      case 'hello-ack':
      case 'close':
        return; // taken by #onFrame
    }
  }

  #onDataFrame(link: Link, session: SessionState, frame: Frame & { type: 'data' }, now: Millis) {
    this.#dataRate ??= new TokenBucket(DATA_BURST, DATA_PER_SECOND, now);
    if (!this.#dataRate.take(now)) return this.#close(link, 'data-flood', now);
    const { number } = frame;
    const next = session.received + 1;
    if (!link.inOrder(number, session.received)) return this.#close(link, 'out-of-order', now);
    if (!this.#onAcknowledged(link, session, frame.acknowledged, now)) return;
    if (number < next) {
      this.counters.duplicates++;
      return;
    }
    session.received = number;
    this.counters.payloadsIn++;
    this.#event({ kind: 'payload', payload: frame.payload });
  }

  #onAcknowledged(link: Link, session: SessionState, number: number, now: Millis): boolean {
    if (number < link.acknowledged || number > session.outbox.last) {
      this.#close(link, 'acknowledgement-range', now);
      return false;
    }
    link.acknowledged = number;
    session.outbox.acknowledge(number);
    return true;
  }

  #onControlFrame(link: Link, frame: Frame & { type: 'heartbeat' | 'renew' | 'drain' }, now: Millis) {
    if (!link.control.take(now)) return this.#close(link, 'control-flood', now);
    if (frame.type === 'heartbeat') {
      this.#transmit(link, { type: 'heartbeat-reply', id: frame.id });
    } else if (frame.type === 'drain') {
      this.#event({ kind: 'peer-draining' });
    } else if (this.#options.role === 'acceptor') {
      this.#close(link, 'unexpected-frame', now);
    } else if (now - this.#renewAskedAt >= STABLE_AFTER_MS) {
      this.#renewAskedAt = now;
      this.#renewWanted = true;
    }
  }

  #onCloseFrame(link: Link, reason: CloseReason | 'unknown', now: Millis) {
    this.counters.closedByPeer[reason] = (this.counters.closedByPeer[reason] ?? 0) + 1;
    const wasActive = link === this.#active;
    if (wasActive && reason === 'renewed') {
      // The dialer has our hello-ack on the new connection: that is as good as its first frame there.
      const next = [...this.#links.values()].findLast((other) => other.offer?.resumed);
      if (next !== undefined) return this.#activate(next, next.offer!, now);
    }
    this.#out.push({ kind: 'close', connection: link.ref, reason: 'closed by the far end' });
    this.#forget(link, `far end: ${reason}`, now);
    if (wasActive && reason === 'stop' && this.#session !== undefined) this.#lose('the far end stopped');
  }

  // ---- the fence -------------------------------------------------------------------------------------------------

  #onFenceFrame(link: Link, frame: Frame & { type: 'sync' | 'fence' }, now: Millis) {
    if (!link.fenceStep(frame.type, this.#options.role)) return this.#close(link, 'unexpected-frame', now);
    if (frame.type === 'fence') this.#event({ kind: 'fence', body: frame.body });
    if (link.fence === 'answer') this.#event({ kind: 'fence-wanted' });
  }

  #onFenceAnswer(body: Uint8Array, now: Millis) {
    if (body.length > MAX_FENCE) throw new RangeError(`tunnel: fence of ${body.length} octets`);
    const link = this.#active;
    const step = link?.fenceAnswer(this.#options.role, now + FENCE_WITHIN_MS);
    if (link === undefined || step === undefined) return;
    this.#transmit(link, step === 'sync' ? { type: 'sync' } : { type: 'fence', body });
  }

  // ---- sending ---------------------------------------------------------------------------------------------------

  #onSend(payload: Uint8Array, mayWait: boolean, now: Millis) {
    const session = this.#session;
    if (session === undefined) return this.#undelivered('no-session', 1);
    if (payload.length === 0 || payload.length > session.maxPayload) return this.#undelivered('too-large', 1);
    const number = session.outbox.add(payload);
    if (number !== undefined) {
      if (this.#active !== undefined) this.#transmitData(this.#active, session, number, payload, mayWait);
      return;
    }
    this.#undelivered('buffer-full', 1);
    // A far end that answers heartbeats but acknowledges nothing: the resume's fence sets right what was dropped.
    if (this.#active !== undefined) this.#close(this.#active, 'unacknowledged', now);
  }

  #transmitData(link: Link, session: SessionState, number: number, payload: Uint8Array, mayWait = false) {
    this.counters.payloadsOut++;
    link.acknowledgedToPeer = session.received;
    link.acknowledgeAt = undefined;
    this.#transmit(link, { type: 'data', number, acknowledged: session.received, payload }, mayWait);
  }

  /** Most acknowledgements ride on a data frame of ours that follows soon; the rest leave together, a little late. */
  #acknowledge(link: Link, session: SessionState, now: Millis) {
    const waiting = session.received - link.acknowledgedToPeer;
    if (waiting <= 0) return;
    link.acknowledgeAt ??= now + ACKNOWLEDGE_WITHIN_MS;
    if (waiting < ACKNOWLEDGE_AFTER && now < link.acknowledgeAt) return;
    link.acknowledgedToPeer = session.received;
    link.acknowledgeAt = undefined;
    this.#transmit(link, { type: 'ack', acknowledged: session.received });
  }

  #transmit(link: Link, frame: Frame, mayWait = false) {
    this.#out.send(link.ref, encodeFrame(frame), mayWait);
  }

  #event(event: TunnelEvent) {
    this.#out.push({ kind: 'event', event });
  }

  #undelivered(reason: (TunnelEvent & { kind: 'undelivered' })['reason'], count: number): void {
    this.counters.undelivered += count;
    this.#event({ kind: 'undelivered', count, reason });
  }

  /** At most one alarm a second leaves; all are counted. */
  #alarm(reason: string, now: Millis) {
    this.counters.alarms++;
    if (now < this.#alarmAllowedAt) return;
    this.#alarmAllowedAt = now + 1000;
    this.#event({ kind: 'alarm', reason });
  }
}
