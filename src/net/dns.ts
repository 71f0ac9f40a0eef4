/**
 * RFC 3263 4: where a SIP request to a host goes. NAPTR chooses the transport, SRV the hosts and ports, AAAA and A the
 * addresses; whatever is given (port, transport, a literal address) takes the place of a step.
 */
import { getServers, lookup as systemLookup } from 'node:dns';
import { readFileSync, statSync } from 'node:fs';
import type { Address, SignallingTransport } from '../machine/address.ts';
import type { Millis, Random } from '../machine/machine.ts';
import { DnsCache, type DnsRecord, type NaptrRecord, type SrvRecord } from './dns-cache.ts';
import { normalName } from './dns-query.ts';
import { canonicalIp } from './ip.ts';
import { monotonicNow, systemRandom } from './providers.ts';
import { orderSrv } from './srv-order.ts';

export interface ResolverOptions {
  /** Default: the system's (/etc/resolv.conf). */
  readonly servers?: readonly Address[];
  /** Default /etc/hosts; looked at before DNS. */
  readonly hostsFile?: string;
  readonly random?: Random;
  readonly now?: () => Millis;
  readonly timeoutMs?: number; // per question and server, default 2000
  readonly attempts?: number; // default 2
  readonly cacheEntries?: number; // default 2000
  /** Plain names (no dot, or .local) that DNS does not know are asked of the system (NSS, search domains). Default true. */
  readonly systemFallback?: boolean;
}

export interface ResolveQuery {
  readonly host: string;
  readonly port?: number;
  readonly transport?: SignallingTransport;
  /** SIPS: TLS only. */
  readonly secure: boolean;
}

export interface Target {
  readonly transport: SignallingTransport;
  readonly address: Address;
}

/** NAPTR service fields (RFC 3263 4.1) by transport. */
const SERVICES: Readonly<Record<string, SignallingTransport>> = {
  'SIP+D2U': 'udp',
  'SIP+D2T': 'tcp',
  'SIPS+D2T': 'tls',
};
const SRV_PREFIX = { udp: '_sip._udp', tcp: '_sip._tcp', tls: '_sips._tcp' } as const;
/** Most targets of one resolution: each is a transaction's worth of waiting. */
const MAX_TARGETS = 32;
const MAX_HOSTS_BYTES = 1024 * 1024;

export class SipResolver {
  readonly #cache: DnsCache;
  readonly #random: Random;
  readonly #hostsFile: string;
  readonly #systemFallback: boolean;
  #hosts: ReadonlyMap<string, readonly string[]> = new Map();
  #hostsStamp = '';

  constructor(options: ResolverOptions = {}) {
    this.#random = options.random ?? systemRandom;
    this.#hostsFile = options.hostsFile ?? '/etc/hosts';
    this.#systemFallback = options.systemFallback ?? true;
    this.#cache = new DnsCache({
      servers: options.servers ?? systemServers(),
      random: this.#random,
      now: options.now ?? monotonicNow,
      timeoutMs: options.timeoutMs ?? 2000,
      attempts: options.attempts ?? 2,
      cacheEntries: options.cacheEntries ?? 2000,
    });
  }

  /** In order of preference; empty: nothing found. Never rejects. */
  async resolve(query: ResolveQuery): Promise<Target[]> {
    const { port, secure } = query;
    if (secure && query.transport === 'udp') return []; // SIPS needs TLS
    const transport = secure ? 'tls' : query.transport;
    const ip = canonicalIp(query.host);
    // RFC 3263 4.1, 4.2: a literal address, or a port, skips NAPTR and SRV; UDP (TLS for SIPS) unless given.
    const fixed = transport ?? 'udp';
    if (ip !== undefined) return [{ transport: fixed, address: { ip, port: port ?? defaultPort(fixed) } }];
    if (port !== undefined) return this.#addresses(query.host, port, fixed);
    // A name of the hosts file is the administrator's word; DNS is not asked about its services.
    if (this.#fromHosts(query.host).length > 0) {
      return this.#addresses(query.host, defaultPort(fixed), fixed);
    }
    const services =
      transport === undefined || secure
        ? await this.#services(query.host, secure)
        : [{ transport, name: `${SRV_PREFIX[transport]}.${query.host}` }];
    const targets: Target[] = [];
    let published = false;
    for (const service of services) {
      const records = (await this.#cache.lookup(service.name, 'SRV')).filter(isSrv);
      published ||= records.length > 0;
      targets.push(...(await this.#servers(records, service.transport)));
      if (targets.length >= MAX_TARGETS) break;
    }
    if (published) return targets.slice(0, MAX_TARGETS);
    // RFC 3263 4.2: no SRV records at all: the host itself, default port.
    return this.#addresses(query.host, defaultPort(fixed), fixed);
  }

  /** Addresses of a host, IPv6 first; hosts file, DNS, then the system. */
  async addresses(host: string): Promise<readonly string[]> {
    const literal = canonicalIp(host);
    if (literal !== undefined) return [literal];
    const listed = this.#fromHosts(host);
    if (listed.length > 0) return listed;
    const [v6, v4] = await Promise.all([this.#cache.lookup(host, 'AAAA'), this.#cache.lookup(host, 'A')]);
    const found = [...v6, ...v4].filter((record) => typeof record === 'string');
    const plain = !normalName(host).includes('.') || normalName(host).endsWith('.local');
    // The system's lookup blocks one of four threads: not for names that a stranger can choose freely.
    if (found.length > 0 || !this.#systemFallback || !plain) return found;
    return systemAddresses(host);
  }

  /** Forgets what it knows, after a reload. */
  clear(): void {
    this.#cache.clear();
    this.#hostsStamp = '';
  }

  async #addresses(host: string, port: number, transport: SignallingTransport): Promise<Target[]> {
    const ips = await this.addresses(host);
    return ips.slice(0, MAX_TARGETS).map((ip) => ({ transport, address: { ip, port } }));
  }

  /** RFC 3263 4.1: NAPTR in order; without NAPTR, one SRV name per transport that we speak. */
  async #services(
    host: string,
    secure: boolean,
  ): Promise<readonly { readonly transport: SignallingTransport; readonly name: string }[]> {
    const records = (await this.#cache.lookup(host, 'NAPTR')).filter(isNaptr);
    const usable = records
      // "SIPS+D2T" for a SIPS URI, else it may be discarded or kept; flag "s": the replacement is an SRV name.
      .filter((record) => record.flags.toLowerCase() === 's' && record.services.toUpperCase() in SERVICES)
      .map((record) => ({ ...record, transport: SERVICES[record.services.toUpperCase()]! }))
      .filter((record) => !secure || record.transport === 'tls')
      .sort((a, b) => a.order - b.order || a.preference - b.preference);
    if (usable.length > 0) {
      return usable.map(({ transport, replacement }) => ({ transport, name: replacement }));
    }
    const spoken: readonly SignallingTransport[] = secure ? ['tls'] : ['udp', 'tcp', 'tls'];
    return spoken.map((transport) => ({ transport, name: `${SRV_PREFIX[transport]}.${host}` }));
  }

  async #servers(records: readonly SrvRecord[], transport: SignallingTransport): Promise<Target[]> {
    // RFC 2782: a sole target "." means that the service is decidedly not available.
    const real = records.filter((record) => normalName(record.target) !== '' && record.port > 0);
    const targets: Target[] = [];
    for (const { target, port } of orderSrv(real, this.#random)) {
      targets.push(...(await this.#addresses(target, port, transport)));
      if (targets.length >= MAX_TARGETS) break;
    }
    return targets;
  }

  #fromHosts(host: string): readonly string[] {
    this.#readHosts();
    return this.#hosts.get(normalName(host)) ?? [];
  }

  /** Read again when it has changed. */
  #readHosts(): void {
    try {
      const { mtimeMs, size } = statSync(this.#hostsFile);
      const stamp = `${mtimeMs} ${size}`;
      if (stamp === this.#hostsStamp || size > MAX_HOSTS_BYTES) return;
      this.#hosts = parseHosts(readFileSync(this.#hostsFile, 'utf8'));
      this.#hostsStamp = stamp;
    } catch {
      this.#hosts = new Map(); // no such file: no names
    }
  }
}

export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const ip = canonicalIp(address);
    if (ip === undefined) continue;
    for (const name of names) hosts.set(normalName(name), [...(hosts.get(normalName(name)) ?? []), ip]);
  }
  return hosts;
}

function defaultPort(transport: SignallingTransport): number {
  return transport === 'tls' ? 5061 : 5060;
}

function isSrv(record: DnsRecord): record is SrvRecord {
  return typeof record === 'object' && 'weight' in record;
}

function isNaptr(record: DnsRecord): record is NaptrRecord {
  return typeof record === 'object' && 'services' in record;
}

/** `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`, as node:dns lists them. */
function systemServers(): Address[] {
  return getServers().flatMap((text) => {
    const bracketed = /^\[(.*)\]:(\d+)$/.exec(text) ?? /^([\d.]+):(\d+)$/.exec(text);
    const ip = canonicalIp(bracketed?.[1] ?? text);
    return ip === undefined ? [] : [{ ip, port: Number(bracketed?.[2] ?? 53) }];
  });
}

function systemAddresses(host: string): Promise<string[]> {
  return new Promise((resolve) => {
    systemLookup(host, { all: true }, (error, found) => {
      resolve(error === null ? found.flatMap(({ address }) => canonicalIp(address) ?? []) : []);
    });
  });
}
