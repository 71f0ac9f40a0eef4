/** One INVITE session: what its operations (one file each, beside this one) share, and how it ends. */
import type { Alarm } from '../../machine/alarm.ts';
import type { Millis } from '../../machine/machine.ts';
import type { SessionRef, SipBody, SipCommand, SipEvent, SipPeer } from '../contract.ts';
import { type Caller, type Dialog, keyOf } from '../dialog.ts';
import type { ClientRequest } from '../request.ts';
import type { HeaderPair } from '../serialize.ts';
import type { Stack } from '../stack.ts';
import type { ServerTransaction } from '../transaction/server.ts';

/** An INVITE nobody answers is given up after this long, either side (RFC 3261 16.6 timer C is for proxies). Milliseconds. */
export const SETUP_LIMIT = 300_000;

/** Our 2xx to an INVITE, repeated until its ACK comes (RFC 3261 13.3.1.4). */
export interface Unacknowledged {
  readonly sequence: number;
  /** Our 2xx carries an offer, the answer comes in the ACK. */
  readonly offered: boolean;
  readonly giveUpAt: Millis;
  readonly alarm: Alarm;
  interval: Millis;
}

/** UAS: provisional responses that the caller wants acknowledged (RFC 3262). */
export interface Reliable {
  /** CSeq of the INVITE. */
  readonly invite: number;
  /** RSeq of the last one. */
  sequence: number;
  /** It has no PRACK yet. */
  open: boolean;
  /** One of them had the answer to the INVITE's offer. */
  described: boolean;
  readonly waiting: Extract<SipCommand, { kind: 'provisional' }>[];
  /** The 2xx may not go before the description is acknowledged (RFC 3262 3). */
  accept: Extract<SipCommand, { kind: 'accept' }> | undefined;
  readonly alarm: Alarm;
  repeat: () => void;
}

/** A dialog of a forked INVITE. `branch` counts from 1. */
export interface Fork {
  readonly branch: number;
  dialog: Dialog;
}

/** Our INVITE as caller, until its transaction is over. */
export interface OutgoingInvite {
  readonly request: ClientRequest;
  readonly caller: Caller;
  readonly forks: Map<string, Fork>;
  /** CANCEL (RFC 3261 9.1): wanted until a provisional response lets it be sent. */
  cancel: 'no' | 'wanted' | 'sent';
  cancelReason: number | undefined;
  sequence: number;
  readonly lateOffer: boolean;
}

/** Our re-INVITE. */
export interface OutgoingModify {
  /** Sent, without a final answer; otherwise waiting for its retry. */
  pending: boolean;
  readonly body: SipBody | undefined;
  /** Times 491 was answered. */
  glares: number;
  /** A refresh of the session timer (RFC 4028), unseen by the user. */
  readonly refresh: boolean;
}

/** The session timer (RFC 4028). */
export interface SessionRefresh {
  readonly seconds: number;
  /** We refresh. */
  readonly ours: boolean;
  /** Without a refresh until then the call ends. */
  readonly silentAt: Millis;
  /** Times the far end has asked for a longer interval since. */
  readonly widened: number;
}

/** Our REFER: `accepted` by a 2xx. */
export interface Referring {
  accepted: boolean;
  readonly alarm: Alarm;
}

export class Session {
  readonly ref: SessionRef;
  readonly role: 'uac' | 'uas';
  readonly peer: SipPeer;
  /** 'setup': no final answer; 'confirmed': 2xx sent or received; 'ended': the user was told, remains settle. */
  state: 'setup' | 'confirmed' | 'ended' = 'setup';
  /** The dialog the session lives in: UAS from the start, UAC from the first 2xx. */
  dialog: Dialog | undefined;
  /** UAC. */
  invite: OutgoingInvite | undefined;
  /** UAS: the initial INVITE while it has no final answer. */
  incoming: ServerTransaction | undefined;
  reliable: Reliable | undefined;
  unacknowledged: Unacknowledged | undefined;
  /** UAS: BYE is due once the ACK is here (RFC 3261 15); holds its Q.850 cause. */
  byeAfterAck: { readonly q850: number | undefined } | undefined;
  /** A 2xx to our INVITE had an offer: its ACK waits for the user's `acknowledge`. */
  answerDue: { readonly sequence: number; readonly authorization: readonly HeaderPair[] } | undefined;
  /** Our re-INVITE in progress or waiting for its retry. */
  modify: OutgoingModify | undefined;
  /** A re-INVITE that may not be sent yet: our initial 2xx has no ACK. */
  modifyLater: { readonly body: SipBody | undefined } | undefined;
  /** re-INVITE or UPDATE of the far end that waits for the user. */
  modified: ServerTransaction | undefined;
  /** The far end's REFER that gets our NOTIFYs: its CSeq. */
  refer: number | undefined;
  /** Our REFER, from sending it until its last NOTIFY. */
  referring: Referring | undefined;
  /** Our part of what was agreed last, an offer or an answer: repeated by a session refresh. */
  lastBody: SipBody | undefined;
  /** The deadline of the state the session is in. */
  readonly alarm: Alarm;
  onAlarm: (() => void) | undefined;
  /** Re-INVITE retry after 491. */
  readonly retry: Alarm;
  onRetry: (() => void) | undefined;
  /** Session timer (RFC 4028): what was agreed. */
  refresh: SessionRefresh | undefined;
  /** The largest Min-SE of a 422 to us, seconds; 0: none. */
  leastInterval = 0;
  readonly timer: Alarm;
  onTimer: (() => void) | undefined;
  onRefresh: (() => void) | undefined;
  /** Requests of ours without a final answer, and others that keep the session's dialogs alive. */
  #work = 0;
  readonly #stack: Stack;

  constructor(stack: Stack, ref: SessionRef, role: 'uac' | 'uas', peer: SipPeer) {
    this.#stack = stack;
    this.ref = ref;
    this.role = role;
    this.peer = peer;
    this.alarm = stack.core.alarm(() => this.onAlarm?.());
    this.retry = stack.core.alarm(() => this.onRetry?.());
    this.timer = stack.core.alarm(() => this.onTimer?.());
    stack.sessions.set(ref, this);
    stack.live++;
  }

  /** Sets the one deadline of the session's state. */
  expect(at: Millis | undefined, then?: () => void): void {
    this.onAlarm = then;
    this.alarm.set(at);
  }

  /** Keeps the session until `release`, even after its end. */
  hold(): void {
    this.#work++;
  }

  release(): void {
    this.#work--;
    this.settle();
  }

  addDialog(dialog: Dialog): void {
    this.#stack.dialogs.set(keyOf(dialog), { dialog, session: this });
  }

  removeDialog(dialog: Dialog): void {
    this.#stack.dialogs.delete(keyOf(dialog));
  }

  /** Tells the user once; the rest of the session is only its debts to the far end. */
  end(how: Omit<Extract<SipEvent, { kind: 'ended' }>, 'kind' | 'session'>): void {
    if (this.state === 'ended') return;
    this.state = 'ended';
    this.#stack.live--;
    this.expect(undefined);
    this.retry.set(undefined);
    this.timer.set(undefined);
    this.reliable?.alarm.set(undefined);
    this.modifyLater = undefined;
    this.lastBody = undefined;
    this.refer = undefined;
    this.referring?.alarm.set(undefined);
    this.referring = undefined;
    this.#stack.core.event({ kind: 'ended', session: this.ref, ...how });
    this.settle();
  }

  /** Forgets the session once it is over and owes nothing. */
  settle(): void {
    if (this.state !== 'ended' || this.#work > 0 || this.unacknowledged !== undefined) return;
    if (this.#stack.sessions.get(this.ref) !== this) return;
    this.#stack.sessions.delete(this.ref);
    this.expect(undefined);
    if (this.dialog !== undefined) this.removeDialog(this.dialog);
    for (const fork of this.invite?.forks.values() ?? []) this.removeDialog(fork.dialog);
  }
}

/** `ended` fields of an optional cause. */
export function q850Field(q850: number | undefined): { readonly q850?: number } {
  return q850 === undefined ? {} : { q850 };
}
