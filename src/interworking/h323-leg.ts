/**
 * One H.323 call seen as a leg (call/leg.ts). Events of the H.323 endpoint go in on one side and come out as neutral LegEvents
 * (h323-to-meta.ts); LegCommands go in on the other and come out as H.323 commands (meta-to-h323.ts). What both need of channels
 * is in h245-channels.ts. docs/decisions/0005-h323-media-and-offers.md tells why offers are made when they are.
 */
import type { LegCommand, LegEvent, LegStream } from '../call/leg.ts';
import type { CallRef, H323Command, H323Event } from '../h323/contract.ts';
import type { H323Channel } from '../h323/media-contract.ts';
import type { Address } from '../machine/address.ts';
import type { Millis } from '../machine/machine.ts';
import type { Format, MediaExchange, MediaKind, Party } from '../meta/message.ts';
import type { H245Negotiation } from './h245-negotiation.ts';
import { eventFromH323, legTimer } from './h323-to-meta.ts';
import { commandToH323 } from './meta-to-h323.ts';

export interface H323LegOptions {
  readonly call: CallRef;
  /** Whether the far end of this leg called us, or we call it. */
  readonly role: 'caller' | 'callee';
  readonly negotiation: H245Negotiation;
  readonly peer: {
    readonly name: string;
    readonly fastStart: boolean;
    readonly earlyH245: boolean;
    /** Its identities are believed, and restricted ones shown to it. */
    readonly trusted: boolean;
  };
  /** Callee only: address to call in place of the peer's (registered terminal). */
  readonly target?: Address;
  /** Callee only: the peer's own call that this one is to take the place of. */
  readonly replaces?: H323Consultation;
}

/** H.450.2: a call that the far end's side knows by this name. */
export interface H323Consultation {
  readonly callIdentity: string;
}

export type H323LegOutput =
  | { readonly kind: 'event'; readonly event: LegEvent }
  | { readonly kind: 'h323'; readonly command: H323Command }
  /** Send this digit as RFC 4733 on the audio stream. */
  | { readonly kind: 'digit'; readonly stream: number; readonly digit: string; readonly durationMs: number }
  /** Something of the far end was not taken over. */
  | { readonly kind: 'count'; readonly reason: string };

export type H323Timer =
  /** For the far end's channel, whose codec we would use too. */
  | 'open'
  /** A call answered by the far end whose media does not get ready. */
  | 'media'
  /** A change that met one of the other side is tried again. */
  | 'retry';

/** The change that is open at this leg. */
export type H323Modify =
  | 'none'
  /** The far end changed: an offer of ours is with the other gateway. */
  | 'ours'
  /** The other gateway asked for an offer: ours went with modify-accept, the answer comes in `media`. */
  | 'asked'
  /** The other gateway offered a fax: the far end has been asked for it. */
  | 'fax-asked';

export class H323Leg {
  readonly protocol = 'h323';
  readonly call: CallRef;
  readonly role: 'caller' | 'callee';
  readonly negotiation: H245Negotiation;
  readonly peer: H323LegOptions['peer'];
  readonly target: Address | undefined;
  readonly replaces: H323Consultation | undefined;
  /** The call that the far end wants to be replaced in the transfer that it has asked for. */
  referred: H323Consultation | undefined;
  /** Connect sent or received. */
  confirmed = false;
  /** The other gateway's set-up had no offer (callee): ours goes with connect. */
  lateOffer = false;
  /** Answer for the other gateway, until a message takes it along. */
  answer: MediaExchange | undefined;
  /** The far end has answered; told once media is settled. */
  pendingConnect: { readonly connected?: Party } | undefined;
  /** Tones or speech may come before the answer, heard by the far end (caller) or told by it (callee). */
  inBand = false;
  /** Caller: it was told that it rings. */
  alerted = false;
  /** Our capabilities as the endpoint knows them; undefined: not given yet. */
  declared: string | undefined;
  /** The video among them. */
  declaredVideo = '[]';
  master = false;
  /** Our open-channel waits for its answer, by kind. */
  readonly opening = new Map<MediaKind, Format>();
  /** Our channel was refused so many times, by kind. */
  readonly refusals = new Map<MediaKind, number>();
  /** The far end had its time to open its channel first. */
  waited = false;
  /** The far end's capabilities have been offered anew to the other gateway. */
  offeredAnew = false;
  /** The far end's channels, until it is known what may be used. */
  readonly asked = new Map<MediaKind, { readonly channel: H323Channel; readonly conflict: boolean }>();
  /** We have told the far end to send nothing. */
  holding = false;
  modify: H323Modify = 'none';
  /** The far end wants this in place of what it has: the other gateway has been asked. */
  modeWanted: 'audio' | 'image' | undefined;
  /** The far end changed again while a change was open. */
  changeDue = false;
  ended = false;
  now: Millis = 0;
  readonly due = new Map<H323Timer, Millis>();
  #released = false;
  #out: H323LegOutput[] = [];

  constructor(options: H323LegOptions) {
    this.call = options.call;
    this.role = options.role;
    this.negotiation = options.negotiation;
    this.peer = options.peer;
    this.target = options.target;
    this.replaces = options.replaces;
  }

  /** Events other than `incoming` of this call. */
  h323(event: H323Event, now: Millis): void {
    this.now = now;
    if (event.kind === 'released' || !this.ended) eventFromH323(this, event);
    if (event.kind === 'released') this.over();
  }

  command(command: LegCommand, now: Millis): void {
    this.now = now;
    if (!this.ended) commandToH323(this, command);
  }

  streams(): readonly LegStream[] {
    return this.ended ? [] : this.negotiation.streams();
  }

  poll(): H323LegOutput | undefined {
    return this.#out.shift();
  }

  deadline(): Millis | undefined {
    let next: Millis | undefined;
    for (const at of this.due.values()) if (next === undefined || at < next) next = at;
    return next;
  }

  timeout(now: Millis): void {
    this.now = now;
    for (const [name, at] of [...this.due]) {
      if (at > now || this.ended) continue;
      this.due.delete(name);
      legTimer(this, name);
    }
  }

  /** `release` is said once, whoever says it first. */
  emit(event: LegEvent): void {
    if (this.#released) return;
    if (event.kind === 'release') this.#released = true;
    this.#out.push({ kind: 'event', event });
  }

  send(command: H323Command): void {
    this.#out.push({ kind: 'h323', command });
  }

  digit(stream: number, digit: string, durationMs: number): void {
    this.#out.push({ kind: 'digit', stream, digit, durationMs });
  }

  count(reason: string): void {
    this.#out.push({ kind: 'count', reason });
  }

  wait(timer: H323Timer, ms: Millis): void {
    if (!this.due.has(timer)) this.due.set(timer, this.now + ms);
  }

  /** This leg cannot go on: both directions are told. */
  breakOff(reason: string, cause: number): void {
    if (this.ended) return;
    this.count(reason);
    this.send({ kind: 'release', call: this.call, cause });
    this.over();
    this.emit({ kind: 'release', cause });
  }

  /** Nothing of the far end counts any more, but for `released`. */
  over(): void {
    this.ended = true;
    this.due.clear();
  }
}
