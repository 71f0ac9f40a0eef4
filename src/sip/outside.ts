import type { Alarm } from '../machine/alarm.ts';
import type { SipBody, SipCommand } from './contract.ts';
import type { Core } from './core.ts';
import type { HeaderPair } from './serialize.ts';
import { sessionFlow } from './session/flow.ts';
import type { ServerTransaction } from './transaction/server.ts';

/** The user answers within this time, else 503. Milliseconds. */
const ANSWER_LIMIT = 10_000;

type Answer = (status: number, headers: readonly HeaderPair[], body?: SipBody) => void;

/** Requests outside sessions that the user answers (REGISTER). Bounded by the transaction table. */
export class Outside {
  readonly #core: Core;
  readonly #pending = new Map<number, { readonly alarm: Alarm; readonly answer: Answer }>();
  #next = 1;

  constructor(core: Core) {
    this.#core = core;
  }

  get size(): number {
    return this.#pending.size;
  }

  ask(transaction: ServerTransaction, account: string | undefined, answer: Answer): void {
    const { request, source } = transaction;
    const number = this.#next++;
    const alarm = this.#core.alarm(() => {
      this.#core.count('request-unanswered');
      this.#pending.delete(number);
      answer(503, [['Retry-After', '5']]);
    });
    alarm.set(this.#core.now + ANSWER_LIMIT);
    this.#pending.set(number, { alarm, answer });
    transaction.user = {
      lost: () => {
        alarm.set(undefined);
        this.#pending.delete(number);
      },
    };
    this.#core.event({
      kind: 'request',
      transaction: number,
      peer: source.peer,
      request,
      remote: source.hop.remote,
      flow: sessionFlow(source.hop),
      ...(account === undefined ? {} : { account }),
    });
  }

  respond(command: Extract<SipCommand, { kind: 'respond' }>): void {
    const pending = this.#pending.get(command.transaction);
    if (pending === undefined) return;
    this.#pending.delete(command.transaction);
    pending.alarm.set(undefined);
    const { status, headers = [], body } = command;
    const final = Number.isInteger(status) && status >= 200 && status <= 699 ? status : 500;
    pending.answer(
      final,
      headers.map(({ name, value }): HeaderPair => [name, value]),
      body,
    );
  }
}
