import type { Millis } from '../../machine/machine.ts';
import { type ClientAction, earlier, T1, TIMER_D, TRANSACTION_LIFE } from './timing.ts';

export type InviteClientState = 'calling' | 'proceeding' | 'accepted' | 'completed' | 'terminated';

/**
 * The INVITE client transaction, RFC 3261 17.1.1 with the Accepted state of RFC 6026 7.2. Knows only statuses and time;
 * client.ts carries it.
 */
export class InviteClient {
  state: InviteClientState = 'calling';
  readonly #reliable: boolean;
  #interval = T1;
  /** Timer A: next retransmission; unreliable transports only. */
  #again: Millis | undefined;
  /** Timer B, D or M, whichever the state has. */
  #end: Millis | undefined;

  constructor(reliable: boolean) {
    this.#reliable = reliable;
  }

  start(now: Millis): readonly ClientAction[] {
    this.#again = this.#reliable ? undefined : now + this.#interval;
    this.#end = now + TRANSACTION_LIFE;
    return ['send'];
  }

  response(status: number, now: Millis): readonly ClientAction[] {
    switch (this.state) {
      case 'calling':
      case 'proceeding':
        return this.#answer(status, now);
      case 'accepted':
        // RFC 6026 7.2: repeated and forked 2xx go to the user, all else is dropped.
        return status >= 200 && status < 300 ? ['pass'] : [];
      case 'completed':
        // 17.1.1.2: a retransmitted final response is acknowledged again and not passed up.
        return status >= 300 ? ['ack'] : [];
      case 'terminated':
        return [];
    }
  }

  #answer(status: number, now: Millis): readonly ClientAction[] {
    this.#again = undefined;
    if (status < 200) {
      this.state = 'proceeding';
      this.#end = undefined;
      return ['pass'];
    }
    if (status < 300) {
      this.state = 'accepted';
      this.#end = now + TRANSACTION_LIFE; // timer M
      return ['pass'];
    }
    if (this.#reliable) return ['ack', 'pass', ...this.#terminate()]; // timer D is zero
    this.state = 'completed';
    this.#end = now + TIMER_D;
    return ['ack', 'pass'];
  }

  /** Nothing is sent of its own accord any more. */
  get absorbs(): boolean {
    return this.state === 'accepted' || this.state === 'completed';
  }

  timeout(now: Millis): readonly ClientAction[] {
    if (this.#end !== undefined && now >= this.#end) {
      const waiting = this.state === 'calling';
      const ended = this.#terminate();
      return waiting ? ['timed-out', ...ended] : ended;
    }
    if (this.#again !== undefined && now >= this.#again) {
      this.#interval *= 2; // 17.1.1.2: timer A doubles without the T2 limit
      this.#again = now + this.#interval;
      return ['send'];
    }
    return [];
  }

  transportFailed(): readonly ClientAction[] {
    const waiting = this.state === 'calling' || this.state === 'proceeding';
    const ended = this.#terminate();
    return waiting ? ['transport-failed', ...ended] : ended;
  }

  deadline(): Millis | undefined {
    return earlier(this.#again, this.#end);
  }

  #terminate(): readonly ClientAction[] {
    if (this.state === 'terminated') return [];
    this.state = 'terminated';
    this.#again = undefined;
    this.#end = undefined;
    return ['terminated'];
  }
}
