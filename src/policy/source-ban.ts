/**
 * Sources that fail again and again are left without an answer for a while, longer each time. The table is
 * bounded; configured sources are never banned, because a UDP source can be forged. For the same reason a source from which
 * somebody has authenticated is banned for wrong passwords only: those need an answer of ours to have been read there.
 */
import type { Millis } from '../machine/machine.ts';

/** Points an offence is worth; at `threshold` the source is banned. */
export const OFFENCES = {
  /** Wrong password. */
  authentication: 2,
  /** A request for a user that does not exist, a call to nowhere. */
  unknownTarget: 1,
  /** What no honest implementation sends. */
  malformed: 1,
  /** Names of known scanners. */
  scanner: 10,
  /** Above its rate. */
  flood: 1,
} as const;
export type Offence = keyof typeof OFFENCES;

export interface BanOptions {
  readonly threshold: number;
  /** Points fade by one in this time. */
  readonly fadeMs: Millis;
  readonly firstBanMs: Millis;
  readonly maxBanMs: Millis;
  /** Sources remembered. */
  readonly capacity: number;
  /** How long a right password speaks for its source. */
  readonly vouchMs: Millis;
  readonly exempt: (source: string) => boolean;
}

export const BAN_DEFAULTS = {
  threshold: 10,
  fadeMs: 30_000,
  firstBanMs: 60_000,
  maxBanMs: 3_600_000,
  capacity: 10_000,
  vouchMs: 3_600_000,
} as const;

interface Entry {
  points: number;
  /** When `points` was right. */
  at: Millis;
  bannedUntil: Millis;
  bans: number;
}

export class SourceBans {
  readonly #options: BanOptions;
  /** In the order of the last offence. */
  readonly #entries = new Map<string, Entry>();
  /** Until when a right password speaks for a source; in order of use, as long as `#entries` may be. */
  readonly #vouched = new Map<string, Millis>();

  constructor(options: Partial<BanOptions> = {}) {
    this.#options = { ...BAN_DEFAULTS, exempt: () => false, ...options };
  }

  get size(): number {
    return this.#entries.size;
  }

  banned(source: string, now: Millis): boolean {
    const entry = this.#entries.get(source);
    return entry !== undefined && entry.bannedUntil > now;
  }

  /** Milliseconds the ban of `source` still lasts. */
  remaining(source: string, now: Millis): Millis {
    return Math.max(0, (this.#entries.get(source)?.bannedUntil ?? now) - now);
  }

  /** Notes an offence. 'banned' where this one brought the ban. */
  offend(source: string, offence: Offence, now: Millis): 'noted' | 'banned' {
    const { exempt, threshold, fadeMs, firstBanMs, maxBanMs } = this.#options;
    if (exempt(source)) return 'noted';
    if (offence !== 'authentication' && this.vouchedFor(source, now)) return 'noted';
    const entry = this.#touch(source, now);
    if (entry.bannedUntil > now) return 'noted';
    entry.points = Math.max(0, entry.points - (now - entry.at) / fadeMs) + OFFENCES[offence];
    entry.at = now;
    if (entry.points < threshold) return 'noted';
    // A source that kept quiet for long after its ban starts over with a short one.
    if (now - entry.bannedUntil > 2 * maxBanMs) entry.bans = 0;
    entry.bannedUntil = now + Math.min(maxBanMs, firstBanMs * 2 ** Math.min(entry.bans, 20));
    entry.bans++;
    entry.points = 0;
    return 'banned';
  }

  /** Whether a right password has come from there lately. */
  vouchedFor(source: string, now: Millis): boolean {
    return (this.#vouched.get(source) ?? now) > now;
  }

  /** It has proven itself (a right password): what was held against it is forgotten, a running ban is not. */
  forgive(source: string, now: Millis): void {
    const { capacity, vouchMs } = this.#options;
    if (this.banned(source, now)) return;
    this.#entries.delete(source);
    this.#vouched.delete(source);
    this.#vouched.set(source, now + vouchMs);
    if (this.#vouched.size <= capacity) return;
    const oldest = this.#vouched.keys().next().value;
    if (oldest !== undefined) this.#vouched.delete(oldest);
  }

  /** Sources banned now, for the operator. */
  list(
    now: Millis,
  ): readonly { readonly source: string; readonly remainingMs: Millis; readonly bans: number }[] {
    const out: { source: string; remainingMs: Millis; bans: number }[] = [];
    for (const [source, { bannedUntil, bans }] of this.#entries) {
      if (bannedUntil > now) out.push({ source, remainingMs: bannedUntil - now, bans });
    }
    return out;
  }

  #touch(source: string, now: Millis): Entry {
    const known = this.#entries.get(source);
    if (known !== undefined) this.#entries.delete(source);
    else if (this.#entries.size >= this.#options.capacity) {
      const oldest = this.#entries.keys().next().value;
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    const entry = known ?? { points: 0, at: now, bannedUntil: Number.NEGATIVE_INFINITY, bans: 0 };
    this.#entries.set(source, entry);
    return entry;
  }
}
