/** All calls: by the user's reference, by connection and call reference value (Q.931 4.3), by H.245 port. */
import { decrease, increase } from '../machine/counts.ts';
import type { Call } from './call.ts';
import type { Connection } from './connections.ts';
import type { CallRef, ListenRef } from './contract.ts';

export class CallTable {
  readonly #calls = new Map<CallRef, Call>();
  readonly #byReference = new Map<string, Call>();
  readonly #perSource = new Map<string, number>();
  /** Call references of our own calls. */
  readonly #references = new Set<number>();
  readonly listening = new Map<ListenRef, Call>();
  #nextRef = 1;
  #nextReference: number;
  #nextListening = 1;

  /** `firstReference`: where our call references begin, 1..32767. */
  constructor(firstReference: number) {
    this.#nextReference = firstReference;
  }

  get size(): number {
    return this.#calls.size;
  }

  get(ref: CallRef): Call | undefined {
    return this.#calls.get(ref);
  }

  all(): IterableIterator<Call> {
    return this.#calls.values();
  }

  has(call: Call): boolean {
    return this.#calls.get(call.ref) === call;
  }

  /** Incoming calls from one source address. */
  fromSource(ip: string): number {
    return this.#perSource.get(ip) ?? 0;
  }

  nextRef(): CallRef {
    const ref = this.#nextRef;
    this.#nextRef += 2;
    return ref;
  }

  nextListening(): ListenRef {
    return this.#nextListening++;
  }

  /** 1..32767, not in use by a call of ours. */
  nextReference(): number {
    for (let i = 0; i < 32_767; i++) {
      const reference = this.#nextReference;
      this.#nextReference = (reference % 32_767) + 1;
      if (!this.#references.has(reference)) return reference;
    }
    return 1; // not reached: the table's cap is far below
  }

  add(call: Call): void {
    this.#calls.set(call.ref, call);
    if (call.outgoing) this.#references.add(call.callReference);
    else increase(this.#perSource, call.remote.ip);
  }

  /** A call begins to use a connection. */
  bind(call: Call, connection: Connection): void {
    call.connection = connection;
    this.#byReference.set(key(connection, call.outgoing, call.callReference), call);
  }

  unbind(call: Call): void {
    if (call.connection === undefined) return;
    this.#byReference.delete(key(call.connection, call.outgoing, call.callReference));
    call.connection = undefined;
  }

  /** `ours`: the call reference is one we chose (flag set in what the far end sends). */
  find(connection: Connection, ours: boolean, callReference: number): Call | undefined {
    return this.#byReference.get(key(connection, ours, callReference));
  }

  onConnection(connection: Connection): Call[] {
    return [...this.#calls.values()].filter((call) => call.connection === connection);
  }

  remove(call: Call): void {
    this.unbind(call);
    if (!this.#calls.delete(call.ref)) return;
    if (call.outgoing) this.#references.delete(call.callReference);
    else decrease(this.#perSource, call.remote.ip);
  }
}

function key(connection: Connection, ours: boolean, callReference: number): string {
  return `${connection.ref}${ours ? '>' : '<'}${callReference}`;
}
