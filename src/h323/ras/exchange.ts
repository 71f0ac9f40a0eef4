/** RAS requests and their answers (H.225.0 7.5.1): sequence numbers, repetition, RequestInProgress. */
import type { Address } from '../../machine/address.ts';
import type { Alarm } from '../../machine/alarm.ts';
import type { RasMessage } from '../asn1/h225-types.ts';
import type { Core } from '../core.ts';
import type { Credentials } from './security.ts';
import { signed } from './security.ts';

/** H.225.0 table 18: 3 to 5 s, and two repetitions. Milliseconds. */
const FIRST_WAIT = 3_000;
const MOST_SENDS = 3;
/** Longest delay a RequestInProgress gets, and how often. */
const MOST_DELAY = 30_000;
const MOST_DELAYS = 4;

export type Answer = Exclude<RasMessage, { choice: 'unknown' }>;

export interface Request {
  readonly listener: string;
  readonly remote: Address;
  readonly message: (requestSeqNum: number) => RasMessage;
  readonly credentials?: Credentials | undefined;
  /** Whether the datagram proves itself; asked before the answer counts. */
  readonly proven?: (bytes: Uint8Array, message: RasMessage) => boolean;
  /** undefined: no answer came. */
  readonly answered: (answer: Answer | undefined) => void;
}

interface Waiting {
  readonly request: Request;
  readonly requestSeqNum: number;
  readonly alarm: Alarm;
  sends: number;
  delays: number;
}

export class Exchanges {
  readonly #core: Core;
  readonly #waiting = new Map<number, Waiting>();
  #next: number;

  constructor(core: Core) {
    this.#core = core;
    this.#next = (core.options.random.uint32() % 65_535) + 1;
  }

  get size(): number {
    return this.#waiting.size;
  }

  start(request: Request): void {
    if (this.#waiting.size >= this.#core.options.limits.exchanges) {
      this.#core.count('ras-exchanges', request.remote);
      return request.answered(undefined);
    }
    while (this.#waiting.has(this.#next)) this.#next = (this.#next % 65_535) + 1;
    const requestSeqNum = this.#next;
    this.#next = (this.#next % 65_535) + 1;
    const alarm = this.#core.alarm(() => this.#overdue(waiting));
    const waiting: Waiting = { request, requestSeqNum, alarm, sends: 0, delays: 0 };
    this.#waiting.set(requestSeqNum, waiting);
    this.#send(waiting);
  }

  #send(waiting: Waiting): void {
    const { request, requestSeqNum } = waiting;
    const message = request.message(requestSeqNum);
    waiting.sends++;
    waiting.alarm.set(this.#core.now + FIRST_WAIT);
    sendRas(this.#core, request.listener, request.remote, message, request.credentials);
  }

  #overdue(waiting: Waiting): void {
    if (waiting.sends < MOST_SENDS) return this.#send(waiting);
    this.#core.count('ras-timeout', waiting.request.remote);
    this.#finish(waiting, undefined);
  }

  /** False: nobody waits for it. */
  answer(remote: Address, bytes: Uint8Array, answer: Answer): boolean {
    const value = answer.value as { readonly requestSeqNum?: number };
    const waiting = value.requestSeqNum === undefined ? undefined : this.#waiting.get(value.requestSeqNum);
    // Only from where the request went: sequence numbers are guessable.
    if (waiting === undefined || waiting.request.remote.ip !== remote.ip) return false;
    if (waiting.request.proven?.(bytes, answer) === false) return true; // the true one may still come
    if (answer.choice === 'requestInProgress') {
      if (waiting.delays++ < MOST_DELAYS) {
        waiting.alarm.set(this.#core.now + Math.min(MOST_DELAY, answer.value.delay));
      }
      return true;
    }
    this.#finish(waiting, answer);
    return true;
  }

  /** ICMP: nobody is there. Later repetitions would fare no better. */
  unreachable(remote: Address): void {
    for (const waiting of [...this.#waiting.values()]) {
      const to = waiting.request.remote;
      if (to.ip === remote.ip && to.port === remote.port) this.#finish(waiting, undefined);
    }
  }

  #finish(waiting: Waiting, answer: Answer | undefined): void {
    if (!this.#waiting.delete(waiting.requestSeqNum)) return;
    waiting.alarm.set(undefined);
    waiting.request.answered(answer);
  }
}

export function sendRas(
  core: Core,
  listener: string,
  remote: Address,
  message: RasMessage,
  credentials?: Credentials,
): void {
  core.trace('out', 'udp', remote, rasLine(message));
  core.emit({ kind: 'send-datagram', listener, remote, bytes: signed(core, message, credentials) });
}

/** `RAS admissionReject calledPartyNotRegistered`. */
export function rasLine(message: RasMessage): string {
  if (message.choice === 'unknown') return 'RAS (unknown)';
  const reason = rejectReason(message);
  return reason === undefined ? `RAS ${message.choice}` : `RAS ${message.choice} ${reason}`;
}

export function rejectReason(message: RasMessage): string | undefined {
  if (message.choice === 'unknown' || Array.isArray(message.value)) return undefined;
  const { rejectReason: reason } = message.value as { readonly rejectReason?: { readonly choice: string } };
  return reason?.choice;
}
