/** The ports of one call's leg, by the index of the stream. A stream keeps its port while the call lives, refused or removed too. */
import { isIpv6 } from '../machine/address.ts';
import type { Millis } from '../machine/machine.ts';
import type { Port, PortPools, PortWish } from './port-pools.ts';

export class CallPorts {
  /** They may stand in a description: the call was let in. */
  announced = false;
  readonly #pools: PortPools;
  readonly #ports = new Map<number, Port>();

  constructor(pools: PortPools) {
    this.#pools = pools;
  }

  get indices(): readonly number[] {
    return [...this.#ports.keys()];
  }

  /** The stream has this port, but other streams use it as well. */
  isShared(index: number): boolean {
    return this.#ports.get(index)?.shared === true;
  }

  /** The port the stream has, or one for it. `bound`: the plane has it open, so that it cannot become another. */
  allocate(index: number, wish: PortWish, bound: boolean, now: Millis): Port | undefined {
    const known = this.#ports.get(index);
    if (known !== undefined) {
      if (!wish.strict || isIpv6(known.advertised.ip) === (wish.family === 6)) return known;
      if (bound) return undefined;
      this.free(index, now);
    }
    const port = this.#pools.take(wish, now);
    if (port !== undefined) this.#ports.set(index, port);
    return port;
  }

  /** The ports of a call that was not let in stand in no description: a flood of such calls must not use them up. */
  free(index: number, now: Millis): void {
    const port = this.#ports.get(index);
    if (port === undefined) return;
    this.#ports.delete(index);
    if (this.announced) this.#pools.release(port, now);
    else this.#pools.giveBack(port);
  }

  freeAll(now: Millis): void {
    for (const index of this.indices) this.free(index, now);
  }

  /** All are the other call's from now on. */
  moveTo(other: CallPorts): void {
    for (const [index, port] of this.#ports) other.#ports.set(index, port);
    this.#ports.clear();
  }
}
