import type { Millis } from '../../machine/machine.ts';
import { earlier, type ServerAction, T1, T2, T4, TRANSACTION_LIFE, TRYING_AFTER } from './timing.ts';

export type InviteServerState = 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated';

/**
 * The INVITE server transaction, RFC 3261 17.2.1 with the Accepted state of RFC 6026 7.1. 2xx are retransmitted by the UAS
 * core (session/accept.ts), not here.
 */
export class InviteServer {
  state: InviteServerState = 'proceeding';
  readonly #reliable: boolean;
  #interval = T1;
  /** When a 100 is due; undefined once anything was sent. */
  #trying: Millis | undefined;
  /** Timer G. */
  #again: Millis | undefined;
  /** Timer H, I or L, whichever the state has. */
  #end: Millis | undefined;

  constructor(reliable: boolean, now: Millis) {
    this.#reliable = reliable;
    this.#trying = now + TRYING_AFTER;
  }

  /** The user answers; ignored once a final response was given (a 2xx may be repeated while accepted). */
  respond(status: number, now: Millis): readonly ServerAction[] {
    if (this.state === 'accepted') return status >= 200 && status < 300 ? ['send'] : [];
    if (this.state !== 'proceeding') return [];
    this.#trying = undefined;
    if (status < 200) return ['send'];
    this.#end = now + TRANSACTION_LIFE;
    if (status < 300) {
      this.state = 'accepted'; // timer L
      return ['send'];
    }
    this.state = 'completed'; // timer H
    this.#again = this.#reliable ? undefined : now + this.#interval;
    return ['send'];
  }

  /** The INVITE came again. RFC 6026 7.1: absorbed while accepted. */
  repeated(): readonly ServerAction[] {
    if (this.#trying !== undefined) return this.#try();
    return this.state === 'proceeding' || this.state === 'completed' ? ['send'] : [];
  }

  /** The ACK of a non-2xx response (same branch). ACKs of 2xx belong to the dialog. */
  acknowledged(now: Millis): readonly ServerAction[] {
    if (this.state !== 'completed') return [];
    this.#again = undefined;
    if (this.#reliable) return this.#terminate(); // timer I is zero
    this.state = 'confirmed';
    this.#end = now + T4; // timer I absorbs repeated ACKs
    return [];
  }

  /** Nothing is sent of its own accord any more. */
  get absorbs(): boolean {
    return this.state === 'accepted' || this.state === 'confirmed';
  }

  timeout(now: Millis): readonly ServerAction[] {
    if (this.#trying !== undefined && now >= this.#trying) return this.#try();
    if (this.#end !== undefined && now >= this.#end) {
      const waiting = this.state === 'completed';
      const ended = this.#terminate();
      return waiting ? ['timed-out', ...ended] : ended;
    }
    if (this.#again !== undefined && now >= this.#again) {
      this.#interval = Math.min(2 * this.#interval, T2);
      this.#again = now + this.#interval;
      return ['send'];
    }
    return [];
  }

  /** The connection the request came over is gone: nothing can be repeated. */
  transportFailed(): readonly ServerAction[] {
    this.#trying = undefined;
    return this.state === 'completed' || this.state === 'confirmed' ? this.#terminate() : [];
  }

  deadline(): Millis | undefined {
    return this.#trying ?? earlier(this.#again, this.#end);
  }

  #try(): readonly ServerAction[] {
    this.#trying = undefined;
    return ['trying'];
  }

  #terminate(): readonly ServerAction[] {
    if (this.state === 'terminated') return [];
    this.state = 'terminated';
    this.#again = undefined;
    this.#end = undefined;
    return ['terminated'];
  }
}
