import type { Millis } from '../../machine/machine.ts';
import { type ServerAction, TRANSACTION_LIFE } from './timing.ts';

export type NonInviteServerState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/** The non-INVITE server transaction, RFC 3261 17.2.2. */
export class NonInviteServer {
  state: NonInviteServerState = 'trying';
  readonly #reliable: boolean;
  /** Timer J. */
  #end: Millis | undefined;

  constructor(reliable: boolean) {
    this.#reliable = reliable;
  }

  respond(status: number, now: Millis): readonly ServerAction[] {
    if (this.state !== 'trying' && this.state !== 'proceeding') return [];
    if (status < 200) {
      this.state = 'proceeding';
      return ['send'];
    }
    if (this.#reliable) return ['send', ...this.#terminate()]; // timer J is zero
    this.state = 'completed';
    this.#end = now + TRANSACTION_LIFE;
    return ['send'];
  }

  /** The request came again. 17.2.2: dropped while trying, answered again otherwise. */
  repeated(): readonly ServerAction[] {
    return this.state === 'proceeding' || this.state === 'completed' ? ['send'] : [];
  }

  /** Nothing is sent of its own accord any more. */
  get absorbs(): boolean {
    return this.state === 'completed';
  }

  timeout(now: Millis): readonly ServerAction[] {
    return this.#end !== undefined && now >= this.#end ? this.#terminate() : [];
  }

  transportFailed(): readonly ServerAction[] {
    return this.state === 'completed' ? this.#terminate() : [];
  }

  deadline(): Millis | undefined {
    return this.#end;
  }

  #terminate(): readonly ServerAction[] {
    if (this.state === 'terminated') return [];
    this.state = 'terminated';
    this.#end = undefined;
    return ['terminated'];
  }
}
