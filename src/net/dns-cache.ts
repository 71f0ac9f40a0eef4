/** Records of a name, from the name servers by way of a bounded cache that keeps their time to live (RFC 2181 5.2, RFC 2308). */

import type { RawAnswer } from 'dns-packet';
import { LRUCache } from 'lru-cache';
import type { Address } from '../machine/address.ts';
import type { Millis, Random } from '../machine/machine.ts';
import { type DnsResponse, normalName, queryServer, type RecordType, sameName } from './dns-query.ts';
import { canonicalIp } from './ip.ts';

export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

export interface NaptrRecord {
  readonly order: number;
  readonly preference: number;
  readonly flags: string;
  readonly services: string;
  readonly replacement: string;
}

export type DnsRecord = string | SrvRecord | NaptrRecord;

export interface DnsCacheOptions {
  readonly servers: readonly Address[];
  readonly random: Random;
  readonly now: () => Millis;
  readonly timeoutMs: number;
  /** Rounds through all servers. */
  readonly attempts: number;
  readonly cacheEntries: number;
}

/** A record set longer than this is cut: nobody needs more, and each may cost further questions. */
const MAX_RECORDS = 20;
const MAX_CNAMES = 8;
const MAX_TTL_MS = 86_400_000;
/** A time to live of 0 means "this call only"; calls that come in the same second share it. */
const MIN_TTL_MS = 1000;
const NEGATIVE_TTL_MS = 30_000;
const MAX_NEGATIVE_TTL_MS = 300_000;
/** Servers failed: do not ask again for a moment. */
const FAILURE_TTL_MS = 2000;
const MAX_IN_FLIGHT = 512;

interface Entry {
  readonly records: readonly DnsRecord[];
  readonly until: Millis;
}

export class DnsCache {
  readonly #options: DnsCacheOptions;
  readonly #entries: LRUCache<string, Entry>;
  readonly #inFlight = new Map<string, Promise<readonly DnsRecord[]>>();

  constructor(options: DnsCacheOptions) {
    this.#options = options;
    this.#entries = new LRUCache({ max: options.cacheEntries });
  }

  /** Empty where there are none or nobody answers. Never rejects. */
  lookup(name: string, type: RecordType): Promise<readonly DnsRecord[]> {
    const key = `${type} ${normalName(name)}`;
    const cached = this.#entries.get(key);
    if (cached !== undefined && cached.until > this.#options.now()) return Promise.resolve(cached.records);
    const running = this.#inFlight.get(key);
    if (running !== undefined) return running;
    if (this.#inFlight.size >= MAX_IN_FLIGHT || !queryable(name)) return Promise.resolve([]);
    const started = this.#ask(name, type).then((entry) => {
      this.#inFlight.delete(key);
      this.#entries.set(key, entry);
      return entry.records;
    });
    this.#inFlight.set(key, started);
    return started;
  }

  clear(): void {
    this.#entries.clear();
  }

  async #ask(name: string, type: RecordType): Promise<Entry> {
    const { servers, attempts, timeoutMs, random, now } = this.#options;
    for (let round = 0; round < attempts; round++) {
      for (const server of servers) {
        const response = await queryServer(server, { name, type }, { timeoutMs, random }).catch(
          () => undefined,
        );
        // Another server may know better than one that refuses or fails.
        if (response?.rcode !== 'NOERROR' && response?.rcode !== 'NXDOMAIN') continue;
        const { records, ttlMs } = extract(response, name, type);
        return { records, until: now() + ttlMs };
      }
    }
    return { records: [], until: now() + FAILURE_TTL_MS };
  }
}

/** The records of `name` (followed through CNAMEs inside the answer) and nothing else that the answer holds. */
function extract(
  response: DnsResponse,
  name: string,
  type: RecordType,
): { readonly records: readonly DnsRecord[]; readonly ttlMs: number } {
  let owner = name;
  let ttl = Number.POSITIVE_INFINITY;
  for (let hop = 0; hop < MAX_CNAMES; hop++) {
    const here = response.answers.filter((answer) => sameName(answer.name, owner));
    const found = here.filter((answer) => answer.type === type);
    const records = found
      .slice(0, MAX_RECORDS)
      .map((answer) => typed(answer, type))
      .filter((record) => record !== undefined);
    if (records.length > 0) {
      for (const answer of found) ttl = Math.min(ttl, answer.ttl ?? 0);
      return { records, ttlMs: Math.min(MAX_TTL_MS, Math.max(MIN_TTL_MS, ttl * 1000)) };
    }
    const alias = here.find((answer) => answer.type === 'CNAME');
    if (typeof alias?.data !== 'string') break;
    owner = alias.data;
    ttl = Math.min(ttl, alias.ttl ?? 0);
  }
  const soa = response.authorities.find((answer) => answer.type === 'SOA');
  const minimum = field(soa?.data, 'minimum');
  // RFC 2308 5: the lesser of the SOA's own time to live and its minimum field.
  const negative = typeof minimum === 'number' ? Math.min(minimum, soa?.ttl ?? 0) * 1000 : NEGATIVE_TTL_MS;
  return { records: [], ttlMs: Math.min(MAX_NEGATIVE_TTL_MS, Math.max(MIN_TTL_MS, negative)) };
}

function typed(answer: RawAnswer, type: RecordType): DnsRecord | undefined {
  const { data } = answer;
  if (type === 'A' || type === 'AAAA') return typeof data === 'string' ? canonicalIp(data) : undefined;
  if (type === 'SRV') {
    const [priority, weight, port] = ['priority', 'weight', 'port'].map((key) => field(data, key) ?? 0);
    const target = field(data, 'target');
    if (typeof target !== 'string' || !isNumber(priority) || !isNumber(weight) || !isNumber(port))
      return undefined;
    return { priority, weight, port, target };
  }
  const [order, preference] = ['order', 'preference'].map((key) => field(data, key));
  const [flags, services, replacement] = ['flags', 'services', 'replacement'].map((key) => field(data, key));
  if (!isNumber(order) || !isNumber(preference)) return undefined;
  if (typeof services !== 'string' || typeof replacement !== 'string') return undefined;
  return { order, preference, flags: typeof flags === 'string' ? flags : '', services, replacement };
}

function field(data: unknown, key: string): unknown {
  return typeof data === 'object' && data !== null ? (data as Record<string, unknown>)[key] : undefined;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}

/** RFC 1035 2.3.4 lengths, and only what can stand in host and service names. */
function queryable(name: string): boolean {
  const labels = normalName(name).split('.');
  return name.length <= 253 && labels.every((label) => /^[a-z0-9_-]{1,63}$/.test(label));
}
