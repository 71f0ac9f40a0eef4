import type { Millis } from '../machine/machine.ts';

/**
 * An address that the name no longer resolves to is its peer's for this long: name servers that spread load give another address, or
 * a part of all, each time, and calls go on where they were. Milliseconds.
 */
const RETIRED_MS = 3_600_000;
/** Addresses of one peer. */
const MOST_PER_PEER = 64;

interface Resolved {
  readonly peer: string;
  readonly until: Millis;
}

/** Addresses that peers' configured host names resolved to, by IP: sources the user's `identify` cannot know. */
export class ResolvedPeers {
  readonly #byIp = new Map<string, Resolved>();

  get(ip: string, now: Millis): string | undefined {
    const found = this.#byIp.get(ip);
    return found !== undefined && now < found.until ? found.peer : undefined;
  }

  /** What the name of `peer` resolves to now. */
  learn(peer: string, ips: readonly string[], now: Millis): void {
    for (const [ip, known] of this.#byIp) {
      if (known.until <= now) this.#byIp.delete(ip);
      else if (known.peer === peer && known.until === Number.POSITIVE_INFINITY)
        this.#byIp.set(ip, { peer, until: now + RETIRED_MS });
    }
    for (const ip of ips) {
      this.#byIp.delete(ip); // to the end: what was heard of last stays longest
      this.#byIp.set(ip, { peer, until: Number.POSITIVE_INFINITY });
    }
    const own = [...this.#byIp].filter(([, known]) => known.peer === peer);
    for (const [ip] of own.slice(0, -MOST_PER_PEER)) this.#byIp.delete(ip);
  }

  /** Forgets the peers that are gone, or have another host now. */
  keep(stays: (peer: string) => boolean): void {
    for (const [ip, { peer }] of this.#byIp) if (!stays(peer)) this.#byIp.delete(ip);
  }
}
