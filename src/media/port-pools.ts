/** The pools of this gateway's media addresses: which of them a stream's port is taken from, and the pairs that streams share. */
import { type Address, isIpv6 } from '../machine/address.ts';
import type { Millis, Random } from '../machine/machine.ts';
import { PortPool } from './port-pool.ts';

/** One address and its ports, as configured. */
export interface PoolConfig {
  readonly ip: string;
  readonly advertise?: string;
  readonly ports: readonly [number, number];
}

export interface Port {
  readonly pool: PortPool;
  /** Other streams use it as well. */
  readonly shared: boolean;
  readonly bound: Address;
  readonly advertised: Address;
}

export interface PortWish {
  readonly family: 4 | 6 | undefined;
  /** Only this family; else it is a preference. */
  readonly strict: boolean;
  /** The worker whose streams share one pair on each address; undefined: a pair of its own. */
  readonly sharedBy: number | undefined;
}

export class PortPools {
  readonly #pools: readonly { readonly pool: PortPool; readonly advertise: string; readonly family: 4 | 6 }[];
  /** By address and shard; kept for good. */
  readonly #sharedPairs = new Map<string, number>();

  /** `pools`: in order of preference where no address family is wished. `restMs`: as in `PortPool`. */
  constructor(pools: readonly PoolConfig[], restMs: Millis, random: Random) {
    this.#pools = pools.map(({ ip, advertise, ports: [first, last] }) => ({
      pool: new PortPool({ ip, first, last, restMs, random }),
      advertise: advertise ?? ip,
      family: isIpv6(advertise ?? ip) ? 6 : 4,
    }));
  }

  get inUse(): number {
    return this.#pools.reduce((sum, p) => sum + p.pool.inUse, 0);
  }

  /** Wishes that found no free pair on an address. */
  get exhausted(): number {
    return this.#pools.reduce((sum, p) => sum + p.pool.exhausted, 0);
  }

  /** Undefined: no pair is free. */
  take({ family, strict, sharedBy }: PortWish, now: Millis): Port | undefined {
    const wanted = this.#pools.filter((p) => family === undefined || p.family === family);
    // Without a pool of that family another's address is given: the negotiation sees that it does not fit and says so.
    const others = strict && wanted.length > 0 ? [] : this.#pools.filter((p) => !wanted.includes(p));
    for (const { pool, advertise } of [...wanted, ...others]) {
      const pair = sharedBy === undefined ? undefined : this.#sharedPair(pool, sharedBy, now);
      const port = pair ?? pool.allocate(now);
      if (port === undefined) continue;
      return {
        pool,
        shared: pair !== undefined,
        bound: { ip: pool.ip, port },
        advertised: { ip: advertise, port },
      };
    }
    return undefined;
  }

  /** It has stood in a description, and rests. */
  release({ pool, shared, bound }: Port, now: Millis): void {
    if (!shared) pool.release(bound.port, now);
  }

  /** Nobody was ever told of it. */
  giveBack({ pool, shared, bound }: Port): void {
    if (!shared) pool.giveBack(bound.port);
  }

  /** The pair that this worker's streams share on the pool's address. */
  #sharedPair(pool: PortPool, shard: number, now: Millis): number | undefined {
    const key = `${pool.ip} ${shard}`;
    const port = this.#sharedPairs.get(key) ?? pool.allocate(now);
    if (port !== undefined) this.#sharedPairs.set(key, port);
    return port;
  }
}
