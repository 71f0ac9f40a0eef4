/**
 * One leg of a call and one side of the tunnel. Two half-calls that exchange Meta messages are a call; the tunnel
 * between them is only a wire. The state table is transitions.ts; one file per operation: setup, passing, modify,
 * transfer, status, release; the rules of media exchanges are media-exchanges.ts.
 *
 * Mutate (`leg`, `tunnel`, `tunnelDown`, `tunnelUp`, `release`, `timeout`, ...), then `poll` until undefined, then look at
 * `deadline`. Nothing throws on what a peer says. After the output `ended` the half-call is over and takes nothing more.
 */
import type { Millis } from '../machine/machine.ts';
import type { CallId, CallMessage, Cause, MetaCallState, ReleaseOrigin, Side } from '../meta/message.ts';
import type { CallInput, LegInput, Outcome, TimerName, TunnelInput } from './call-context.ts';
import { CAUSES, CallContext } from './call-context.ts';
import type { CallFacts, HalfCallOptions, HalfCallOutput } from './half-call-contract.ts';
import type { LegEvent } from './leg.ts';
import { cross, exchangeExpired, modifyAnswered, modifyExpired, modifyIn, modifyOut } from './modify.ts';
import { deliver, deliverDigit, forward, forwardDigit, ringing } from './passing.ts';
import { legReleased, tunnelReleased } from './release.ts';
import { startCall, takeCall } from './setup.ts';
import { compareStatus, enquire, reportStatus } from './status.ts';
import { transferExpired, transferIn, transferOut, transferResult } from './transfer.ts';
import type { ActionName, CallState, InputName } from './transitions.ts';
import { metaState, TRANSITIONS } from './transitions.ts';

type Action = (context: CallContext, input: CallInput) => Outcome;

const ACTIONS: Readonly<Record<ActionName, Action>> = {
  start: (c, i) => startCall(c, i.message as LegInput<'setup'>, i),
  take: (c, i) => takeCall(c, i.message as TunnelInput<'setup'>, i),
  forward,
  deliver,
  ringing,
  note: () => true,
  'modify-out': modifyOut,
  'modify-in': modifyIn,
  'modify-answered': modifyAnswered,
  cross,
  'refuse-glare': (c) => {
    c.refuseGlare();
    return true;
  },
  digit: (c, i) => forwardDigit(c, i.message as LegInput<'user-input'>, i),
  'deliver-digit': deliverDigit,
  'transfer-out': transferOut,
  'transfer-in': (c, i) => transferIn(c, i.message as TunnelInput<'transfer-request'>),
  'transfer-result': (c, i) => transferResult(c, i.message as TunnelInput<'transfer-result'>, i),
  'report-status': reportStatus,
  'compare-status': (c, i) => compareStatus(c, i.message as TunnelInput<'status'>, i),
  'leg-released': (c, i) => legReleased(c, i.message as LegInput<'release'>, i.now),
  'tunnel-released': (c, i) => tunnelReleased(c, i.message as TunnelInput<'release'>, i),
};

export class HalfCall {
  readonly #context: CallContext;

  constructor(options: HalfCallOptions) {
    this.#context = new CallContext(options);
  }

  get call(): CallId {
    return this.#context.options.call;
  }

  get side(): Side {
    return this.#context.options.side;
  }

  get state(): CallState {
    return this.#context.state;
  }

  /** As said in `status` and in the fence. */
  get metaState(): MetaCallState {
    return metaState(this.#context.state);
  }

  get mediaGeneration(): number {
    return this.#context.exchanges.generation;
  }

  get facts(): CallFacts {
    return this.#context.facts;
  }

  leg(event: LegEvent, now: Millis): void {
    this.#handle({ from: 'leg', message: event, now });
  }

  /** A message of this call; the caller has looked at `message.call`. */
  tunnel(message: CallMessage, now: Millis): void {
    this.#handle({ from: 'tunnel', message, now });
  }

  /** The signalling link is cut: messages are queued by the tunnel session, and waiting gets an end. */
  tunnelDown(now: Millis): void {
    const c = this.#context;
    if (c.downSince !== undefined || c.over) return;
    c.downSince = now;
    c.due.delete('enquiry');
    c.enquired = undefined;
    if (c.state === 'null') return;
    c.due.set('cut', now + (c.established ? c.timers.cutCallMs : c.timers.cutSetupMs));
  }

  /** The link is there again; what was queued has been or is being replayed. */
  tunnelUp(now: Millis): void {
    const c = this.#context;
    if (c.downSince === undefined || c.over) return;
    const cut = now - c.downSince;
    c.downSince = undefined;
    c.due.delete('cut');
    // What we asked for may have reached the far gateway only now, and its own timer runs from there.
    for (const [name, at] of c.due) if (this.#waitsForTunnel(name)) c.due.set(name, at + cut);
  }

  /**
   * Ends the call from here (policy, operator, fence, lost tunnel): both sides are told. Before the set-up went in, only
   * the side the call comes from is told: that is how a gateway refuses a call.
   */
  release(cause: Cause, origin: ReleaseOrigin, now: Millis, retryAfterSeconds?: number): void {
    this.#context.release(cause, origin, now, retryAfterSeconds);
  }

  /** Asks the other gateway for its view of this call (after a fence that did not agree). */
  enquire(now: Millis): void {
    enquire(this.#context, now);
  }

  /** Whether our leg may be told one more digit out of the other side's media (RFC 4733 events it has no payload type for). */
  takesMediaDigit(now: Millis): boolean {
    return this.#context.within('media-digit', now);
  }

  /** Outcome of a transfer that came out as `transfer`. */
  transferResult(outcome: 'trying' | 'alerting' | 'success' | 'failure', cause?: Cause): void {
    if (!this.#context.established) return;
    const reason = cause === undefined ? {} : { cause };
    this.#context.toTunnel({ kind: 'transfer-result', call: this.call, outcome, ...reason });
  }

  poll(): HalfCallOutput | undefined {
    return this.#context.poll();
  }

  deadline(): Millis | undefined {
    let next: Millis | undefined;
    for (const at of this.#context.due.values()) if (next === undefined || at < next) next = at;
    return next;
  }

  timeout(now: Millis): void {
    const { due } = this.#context;
    for (const [name, at] of [...due]) {
      if (at > now || due.get(name) !== at) continue;
      due.delete(name);
      if (this.#context.downSince !== undefined && this.#waitsForTunnel(name))
        due.set(name, now + this.#context.timers.modifyMarginMs);
      else this.#expired(name, now);
    }
  }

  /** Waits for the far gateway, not for our leg: pointless while the tunnel is cut (which has its own timer). */
  #waitsForTunnel(name: TimerName): boolean {
    const c = this.#context;
    if (name === 'modify') return c.state === 'modifying-out';
    if (name === 'exchange') return c.exchanges.open === 'own';
    return name === 'transfer';
  }

  #expired(name: TimerName, now: Millis): void {
    const c = this.#context;
    switch (name) {
      case 'setup':
      case 'max':
        c.release(CAUSES.timerExpired, c.options.gateway, now);
        break;
      case 'ring':
        c.release(CAUSES.noAnswer, c.options.gateway, now);
        break;
      case 'cut':
        c.release(CAUSES.networkOutOfOrder, 'tunnel', now);
        break;
      case 'enquiry':
        c.release(CAUSES.temporaryFailure, 'tunnel', now);
        break;
      case 'modify':
        modifyExpired(c);
        this.#enter('connected', now);
        break;
      case 'exchange':
        exchangeExpired(c);
        break;
      case 'transfer':
        transferExpired(c);
        break;
    }
  }

  #handle(input: CallInput): void {
    const c = this.#context;
    if (c.over) return; // late by the crossing of releases; nobody's error
    const name = `${input.from}:${input.message.kind}` as InputName;
    const transition = TRANSITIONS[c.options.side][c.state][name];
    if (transition === undefined) {
      c.refuse(input, 'state');
      return;
    }
    const outcome = ACTIONS[transition.action](c, input);
    const next = outcome === true ? transition.next : outcome === false ? undefined : outcome;
    if (c.over) return;
    if (next !== undefined) this.#enter(next, input.now, input);
    this.#watchExchange(input.now);
  }

  #enter(next: CallState, now: Millis, input?: CallInput): void {
    const c = this.#context;
    if (next === c.state) return;
    c.state = next;
    const caller = c.options.side === 'originator';
    if (next === 'initiated' && caller) c.due.set('setup', now + c.timers.setupMs);
    if (next === 'proceeding' || next === 'alerting') c.due.delete('setup');
    const ringing = caller ? next === 'proceeding' : next === 'initiated';
    if (ringing) c.due.set('ring', now + c.timers.ringMs);
    if (next === 'proceeding') c.note({ proceedingAt: now });
    if (next === 'alerting') c.note({ alertingAt: now });
    if (next === 'connected') {
      c.due.delete('modify');
      if (!c.established) this.#connected(now, input);
    }
    c.push({ kind: 'state', state: next });
  }

  #connected(now: Millis, input: CallInput | undefined): void {
    const c = this.#context;
    c.note({ connectAt: now });
    c.due.delete('ring');
    c.due.delete('setup');
    c.due.set('max', now + c.timers.maxCallMs);
    if (c.downSince !== undefined) c.due.set('cut', now + c.timers.cutCallMs);
    if (input?.message.kind !== 'connect') return;
    c.exchanges.connected(input.message.branch);
    if (input.message.connected !== undefined) c.note({ connected: input.message.connected });
  }

  /** Once connected, an offer must not stay open for ever (before that the ring timer ends it). */
  #watchExchange(now: Millis): void {
    const c = this.#context;
    const { modifyMs, modifyMarginMs } = c.timers;
    const open = c.state === 'connected' ? c.exchanges.open : undefined;
    if (open === undefined) c.due.delete('exchange');
    else if (!c.due.has('exchange')) {
      c.due.set('exchange', now + modifyMs + (open === 'own' ? modifyMarginMs : 0));
    }
  }
}
