import type { Millis } from '../../machine/machine.ts';
import { type ClientAction, earlier, T1, T2, T4, TRANSACTION_LIFE } from './timing.ts';

export type NonInviteClientState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/** The non-INVITE client transaction, RFC 3261 17.1.2. */
export class NonInviteClient {
  state: NonInviteClientState = 'trying';
  readonly #reliable: boolean;
  #interval = T1;
  /** Timer E. */
  #again: Millis | undefined;
  /** Timer F, or K once completed. */
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
    if (this.state !== 'trying' && this.state !== 'proceeding') return [];
    if (status < 200) {
      this.state = 'proceeding';
      return ['pass'];
    }
    this.#again = undefined;
    if (this.#reliable) return ['pass', ...this.#terminate()]; // timer K is zero
    this.state = 'completed';
    this.#end = now + T4;
    return ['pass'];
  }

  /** Nothing is sent of its own accord any more. */
  get absorbs(): boolean {
    return this.state === 'completed';
  }

  timeout(now: Millis): readonly ClientAction[] {
    if (this.#end !== undefined && now >= this.#end) {
      const waiting = this.state !== 'completed';
      const ended = this.#terminate();
      return waiting ? ['timed-out', ...ended] : ended;
    }
    if (this.#again !== undefined && now >= this.#again) {
      // 17.1.2.2: MIN(2*E, T2) while trying, T2 once a provisional response has come.
      this.#interval = this.state === 'proceeding' ? T2 : Math.min(2 * this.#interval, T2);
      this.#again = now + this.#interval;
      return ['send'];
    }
    return [];
  }

  transportFailed(): readonly ClientAction[] {
    const waiting = this.state === 'trying' || this.state === 'proceeding';
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
