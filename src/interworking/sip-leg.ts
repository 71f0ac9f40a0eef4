/**
 * One SIP session seen as a leg (call/leg.ts). Events of the SIP endpoint go in on one side and come out as neutral
 * LegEvents (sip-to-meta.ts); LegCommands go in on the other and come out as SIP commands (meta-to-sip.ts).
 */
import type { LegCommand, LegEvent, LegStream } from '../call/leg.ts';
import type { MediaExchange } from '../meta/message.ts';
import type { SessionRef, SipCommand, SipEvent, SipTarget } from '../sip/contract.ts';
import type { SipReplaces } from '../sip/header/replaces.ts';
import { commandToSip } from './meta-to-sip.ts';
import type { SdpNegotiation } from './sdp-negotiation.ts';
import { eventFromSip } from './sip-to-meta.ts';

export interface SipLegOptions {
  readonly session: SessionRef;
  /** Whether the far end of this leg called us, or we call it. */
  readonly role: 'caller' | 'callee';
  readonly negotiation: SdpNegotiation;
  /** The peer is inside the trust domain (RFC 3325). */
  readonly trusted: boolean;
  /** Callee only: callers come out of the enterprise, which vouches for them (RFC 3325 5); default false. */
  readonly vouched?: boolean;
  /** Callee only: registered contact to use in place of the peer's address. */
  readonly target?: SipTarget;
  /** Callee only: the peer's own dialog that this call is to replace. */
  readonly replaces?: SipReplaces;
}

export type SipLegOutput =
  | { readonly kind: 'event'; readonly event: LegEvent }
  | { readonly kind: 'sip'; readonly command: SipCommand }
  /** Send this digit as RFC 4733 on the audio stream. */
  | { readonly kind: 'digit'; readonly stream: number; readonly digit: string; readonly durationMs: number }
  /** Something of the far end was not taken over. */
  | { readonly kind: 'count'; readonly reason: string };

/** Which step of a modification is open at this leg. */
export type ModifyStep =
  | 'none'
  /** We sent a re-INVITE with an offer. */
  | 'ours-offered'
  /** We sent a re-INVITE without one: the far end offers. */
  | 'ours-asked'
  /** We sent a re-INVITE that states again what was agreed, of our own accord: the other gateway knows nothing of it. */
  | 'ours-restated'
  /** The far end offered; its answer is due from the other gateway. */
  | 'theirs-offered'
  /** The far end asked for an offer. */
  | 'theirs-asked';

const NO_STREAMS: readonly LegStream[] = [];

export class SipLeg {
  readonly protocol = 'sip';
  readonly session: SessionRef;
  readonly role: 'caller' | 'callee';
  readonly negotiation: SdpNegotiation;
  readonly trusted: boolean;
  readonly vouched: boolean;
  readonly target: SipTarget | undefined;
  readonly replaces: SipReplaces | undefined;
  /** The dialog the far end wants replaced by the call it has asked a transfer for. */
  referred: SipReplaces | undefined;
  /** Answered (200 sent or received). */
  confirmed = false;
  /** The far end's INVITE (role caller) or ours (role callee) had no offer. */
  lateOffer = false;
  /** An acknowledgement with our answer is due (offer came in a 2xx). */
  acknowledgeDue = false;
  /** Our last 2xx had an offer: its answer is due in the ACK. An ACK that comes while another offer of ours waits answers nothing. */
  answerInAck = false;
  /** Caller leg with late offer: the offer that came before connect. */
  pendingOffer: MediaExchange | undefined;
  modify: ModifyStep = 'none';
  /** Its 2xx had another answer than its provisional response: what was agreed is stated again once the call stands. */
  restate = false;
  /** We have asked for the end: events of the far end no longer count, but for `ended`. */
  ended = false;
  #released = false;
  #out: SipLegOutput[] = [];

  constructor(options: SipLegOptions) {
    this.session = options.session;
    this.role = options.role;
    this.negotiation = options.negotiation;
    this.trusted = options.trusted;
    this.vouched = options.vouched ?? false;
    this.target = options.target;
    this.replaces = options.replaces;
  }

  /** Events other than `incoming` of this session. */
  sip(event: SipEvent): void {
    if (event.kind === 'ended' || !this.ended) eventFromSip(this, event);
    if (event.kind === 'ended') this.ended = true;
  }

  command(command: LegCommand): void {
    if (!this.ended) commandToSip(this, command);
  }

  streams(): readonly LegStream[] {
    return this.ended ? NO_STREAMS : this.negotiation.streams();
  }

  poll(): SipLegOutput | undefined {
    return this.#out.shift();
  }

  /** `release` is said once, whoever says it first. */
  emit(event: LegEvent): void {
    if (this.#released) return;
    if (event.kind === 'release') this.#released = true;
    this.#out.push({ kind: 'event', event });
  }

  send(command: SipCommand): void {
    this.#out.push({ kind: 'sip', command });
  }

  digit(stream: number, digit: string, durationMs: number): void {
    this.#out.push({ kind: 'digit', stream, digit, durationMs });
  }

  count(reason: string): void {
    this.#out.push({ kind: 'count', reason });
  }
}
