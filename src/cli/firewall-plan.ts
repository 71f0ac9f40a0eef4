/** What the two firewalls must let through, as values; nftables, iptables and words are printed from it. */
import type { GatewayConfig, PeerConfig } from '../gateway/config.ts';
import { isIpv6 } from '../machine/address.ts';
import { isWildcard, parseCidr, parseIp } from '../store/config-values.ts';
import { usageError } from './io.ts';

export type PortRange = readonly [first: number, last: number];

/** One kind of new connection or packet that may pass. Everything is of one address family. */
export interface Permit {
  readonly family: 4 | 6;
  /** Addresses or networks; empty: any. */
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly protocol: 'tcp' | 'udp';
  /** Source ports, where they tell something (media). */
  readonly sourcePorts?: PortRange;
  /** Destination ports; empty: any. */
  readonly ports: readonly PortRange[];
  readonly why: string;
}

export interface FirewallSection {
  readonly name: 'inner' | 'outer' | 'both';
  readonly title: string;
  readonly permits: readonly Permit[];
  /** After the first `after` permits nothing may be opened towards these networks, whatever the later ones say. */
  readonly closed?: { readonly after: number; readonly networks: readonly string[] };
  /** Advice on rates and translation; comments, not rules. */
  readonly notes: readonly string[];
}

export interface PlanOptions {
  /** GW1's address as the inner firewall sees it. */
  readonly relayAddress?: string;
  /** GW2's inner address where the configuration has a wildcard. */
  readonly terminationAddress?: string;
  /** The intranet's networks, for one firewall with three legs. */
  readonly intranet?: readonly string[];
}

/** The inner firewall's one permit: new TCP from GW1 to GW2, two ports. */
export function innerSection(config: GatewayConfig, options: PlanOptions): FirewallSection {
  const { signalling, media } = config.tunnel;
  const to = given('--termination-address', options.terminationAddress) ?? bound(signalling.ip);
  if (to === undefined) {
    throw usageError(
      'tunnel.signalling is a wildcard; give --termination-address IP, the address the relay gateway dials',
    );
  }
  const from = given('--relay-address', options.relayAddress) ?? ownAddress(config, to);
  if (from === undefined) {
    throw usageError(
      "the relay gateway's address is not in this file; give --relay-address IP (or only --outer)",
    );
  }
  if (isIpv6(from) !== isIpv6(to)) {
    throw usageError(
      `${from} and ${to} are of different families; give the address the relay gateway dials from`,
    );
  }
  const mediaTo = options.terminationAddress === undefined ? (bound(media.ip) ?? to) : to;
  const dial = (address: string, ports: readonly number[], what: string): Permit => ({
    family: isIpv6(address) ? 6 : 4,
    from: [from],
    to: [address],
    protocol: 'tcp',
    ports: ports.map((port) => [port, port]),
    why: `relay gateway dials termination gateway: ${what}`,
  });
  const permits =
    mediaTo === to
      ? [dial(to, [signalling.port, media.port], 'signalling and media')]
      : [dial(to, [signalling.port], 'signalling'), dial(mediaTo, [media.port], 'media')];
  const assumed =
    options.relayAddress === undefined
      ? ['--relay-address was not given; the address of the first SIP listener was taken']
      : [];
  return {
    name: 'inner',
    title: 'Inner firewall, between DMZ and intranet',
    permits,
    notes: assumed,
  };
}

/** An address as given with an option; text that is none would become a rule that does not load. */
function given(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const parsed = parseIp(text);
  if (!parsed.ok) throw usageError(`${option}: ${parsed.error}`);
  return parsed.value;
}

function bound(ip: string): string | undefined {
  return isWildcard(ip) ? undefined : ip;
}

/** A relay gateway usually dials from the address its listeners have. */
function ownAddress(config: GatewayConfig, far: string): string | undefined {
  if (config.role !== 'relay') return undefined;
  return [...config.sip.listeners, ...(config.h323?.listeners ?? [])].find(
    ({ address }) => isIpv6(address.ip) === isIpv6(far) && !isWildcard(address.ip),
  )?.address.ip;
}

/** What the Internet may send to GW2 and GW2 to the Internet. */
export function outerSection(config: GatewayConfig): FirewallSection {
  if (config.role !== 'termination') {
    throw usageError(
      "the outer firewall's rules come from the termination gateway's configuration; give that file",
    );
  }
  const permits = [
    ...listenerPermits(config),
    ...h323Permits(config),
    ...mediaPermits(config),
    ...outwardPermits(config),
  ];
  return {
    name: 'outer',
    title: 'Outer firewall, between Internet and DMZ',
    permits,
    notes: notesOf(config),
  };
}

/**
 * Both on one machine (three-legged firewall): one chain, since a packet must pass every chain there is. What GW2 may send
 * to anywhere on the Internet must not reach the intranet through it, so the intranet is closed in between.
 */
export function bothSections(
  inner: FirewallSection,
  outer: FirewallSection,
  intranet: readonly string[],
): FirewallSection {
  const networks = intranet.map((text) => {
    const parsed = parseCidr(text);
    if (!parsed.ok) throw usageError(`--intranet: ${parsed.error}`);
    return parsed.value;
  });
  if (networks.length === 0) {
    throw usageError(
      '--combined needs --intranet NETWORK (all of them, repeatable): what GW2 may send to the Internet must not reach it',
    );
  }
  return {
    name: 'both',
    title: 'One firewall with three legs: Internet, DMZ, intranet',
    permits: [...inner.permits, ...outer.permits],
    closed: { after: inner.permits.length, networks },
    notes: [...inner.notes, ...outer.notes],
  };
}

function familyOf(ip: string): 4 | 6 {
  return isIpv6(ip) ? 6 : 4;
}

/** The address a filter behind address translation sees: the bound one, or where that is a wildcard the advertised one. */
function filtered(bound: string, advertised: string | undefined): string {
  return isWildcard(bound) && advertised !== undefined ? advertised : bound;
}

function listenerPermits(config: GatewayConfig): Permit[] {
  return config.sip.listeners.map(({ name, transport, address, advertise }) => {
    const to = filtered(address.ip, advertise?.ip);
    return {
      family: familyOf(to),
      from: sourcesOf(sipPeers(config), familyOf(to)),
      to: [to],
      protocol: transport === 'udp' ? 'udp' : 'tcp',
      ports: [[address.port, address.port]],
      why: `SIP over ${transport.toUpperCase()}, listener ${name}`,
    };
  });
}

function sipPeers(config: GatewayConfig): PeerConfig[] {
  return config.peers.filter((peer) => peer.protocol === 'sip');
}

function isLiteral(host: string): boolean {
  return /^[0-9.]+$|:/.test(host);
}

/** A name of a peer or gatekeeper must be looked up. */
function namedHosts(config: GatewayConfig): boolean {
  return config.peers.some(
    ({ host, h323 }) =>
      (host !== '' && !isLiteral(host)) ||
      (h323?.gatekeeper !== undefined && !isLiteral(h323.gatekeeper.host)),
  );
}

/** Call signalling (H.225.0), H.245 outside of it, and RAS, in and out. */
function h323Permits(config: GatewayConfig): Permit[] {
  const { h323 } = config;
  if (h323 === undefined) return [];
  const peers = config.peers.filter((peer) => peer.protocol === 'h323');
  const keepers = peers.flatMap((peer) => peer.h323?.gatekeeper ?? []);
  return h323.listeners.flatMap(({ name, transport, address, advertise }): Permit[] => {
    const own = filtered(address.ip, advertise?.ip);
    const family = familyOf(own);
    const port = [[address.port, address.port]] as const;
    const one = { family, protocol: transport } as const;
    const from = sourcesOf(peers, family);
    if (transport === 'tcp') {
      const called = peers.filter(
        (p) => p.host !== '' && (!isLiteral(p.host) || familyOf(p.host) === family),
      );
      const literal = called.every((p) => isLiteral(p.host)) && keepers.length === 0;
      const inwards: Permit[] = [
        { ...one, from, to: [own], ports: port, why: `H.323 call signalling, listener ${name}` },
        { ...one, from, to: [own], ports: [h323.h245Ports], why: `H.245, listener ${name}` },
      ];
      if (called.length === 0 && keepers.length === 0) return inwards;
      // Where the far side listens for H.245, and whom a gatekeeper sends us to, is told in each call.
      return [
        ...inwards,
        {
          ...one,
          from: [own],
          to: literal ? [...new Set(called.map((p) => p.host))] : [],
          ports: [[1024, 65535]],
          why: `H.323 call signalling and H.245 to peers, listener ${name}`,
        },
      ];
    }
    const mine = keepers.filter((k) => k.listener === undefined || k.listener === name);
    const hosts = mine.map((k) => k.host).filter((host) => !isLiteral(host) || familyOf(host) === family);
    const served = h323.gatekeeper?.listener === name;
    const known = hosts.every(isLiteral) ? hosts : [];
    return [
      { ...one, from: served ? from : known, to: [own], ports: port, why: `H.323 RAS, listener ${name}` },
      ...(hosts.length === 0
        ? []
        : [
            {
              ...one,
              from: [own],
              to: known,
              sourcePorts: port[0],
              ports: portsOf(mine, 1719),
              why: `H.323 RAS to gatekeepers, listener ${name}`,
            },
          ]),
    ];
  });
}

/** Networks requests may come from; empty (any) where a peer is a host name, is known by certificate, or is everybody. */
function sourcesOf(peers: readonly PeerConfig[], family: 4 | 6): string[] {
  const sources = new Set<string>();
  for (const peer of peers) {
    const literal = /^[0-9.]+$/.test(peer.host) || peer.host.includes(':');
    if (peer.certificateName !== undefined || (peer.host !== '' && !literal)) return [];
    if (literal && familyOf(peer.host) === family) sources.add(peer.host);
    for (const network of peer.sources) {
      if (familyOf(network) !== family) continue;
      if (network.endsWith('/0')) return [];
      sources.add(network);
    }
  }
  return [...sources];
}

function mediaPermits(config: GatewayConfig): Permit[] {
  return config.media.pools.flatMap(({ ip, advertise, ports }) => {
    const own = filtered(ip, advertise);
    const family = familyOf(own);
    return [
      { family, from: [], to: [own], protocol: 'udp' as const, ports: [ports], why: 'RTP and RTCP in' },
      {
        family,
        from: [own],
        to: [],
        protocol: 'udp' as const,
        sourcePorts: ports,
        ports: [[1024, 65535]] as const,
        why: 'RTP and RTCP out',
      },
    ];
  });
}

/** SIP requests of GW2 to its peers, and the name service where a peer is a host name. */
function outwardPermits(config: GatewayConfig): Permit[] {
  const called = sipPeers(config).filter((peer) => peer.host !== '');
  const permits: Permit[] = [];
  for (const { transport, address, advertise, name } of config.sip.listeners) {
    const own = filtered(address.ip, advertise?.ip);
    const family = familyOf(own);
    const reached = called.filter(
      (peer) =>
        (peer.transport === undefined || peer.transport === transport) &&
        (peer.listener === undefined || peer.listener === name) &&
        !(/^[0-9.]+$|:/.test(peer.host) && familyOf(peer.host) !== family),
    );
    const udp = transport === 'udp';
    // Over UDP remote users behind NAT are called back from the listener's port, at whatever port they came from.
    if (reached.length === 0 && !udp) continue;
    const literal = reached.every((peer) => /^[0-9.]+$|:/.test(peer.host));
    const open = udp && sipPeers(config).some((peer) => peer.host === '');
    permits.push({
      family,
      from: [own],
      to: literal && !open ? [...new Set(reached.map((peer) => peer.host))] : [],
      protocol: udp ? 'udp' : 'tcp',
      ...(udp ? { sourcePorts: [address.port, address.port] as const } : {}),
      ports: udp ? [] : portsOf(reached, transport === 'tls' ? 5061 : 5060),
      why: `SIP over ${transport.toUpperCase()} to peers, listener ${name}`,
    });
  }
  if (namedHosts(config)) permits.push(...namePermits(config));
  return permits.filter(
    (permit) => permit.to.length > 0 || permit.ports.length > 0 || permit.sourcePorts !== undefined,
  );
}

function portsOf(peers: readonly { readonly port?: number }[], fallback: number): PortRange[] {
  const ports = new Set(peers.map((peer) => peer.port ?? fallback));
  return [...ports].sort((a, b) => a - b).map((port) => [port, port] as const);
}

function namePermits(config: GatewayConfig): Permit[] {
  const own = [
    ...new Set(
      [...config.sip.listeners, ...(config.h323?.listeners ?? [])].map(({ address, advertise }) =>
        filtered(address.ip, advertise?.ip),
      ),
    ),
  ];
  return own.flatMap((ip) =>
    (['udp', 'tcp'] as const).map((protocol) => ({
      family: familyOf(ip),
      from: [ip],
      to: [],
      protocol,
      ports: [[53, 53]] as const,
      why: 'DNS: names of peers',
    })),
  );
}

/** Octets per second of one direction of a G.711 call on Ethernet: 50 packets of 160 + 12 + 8 + 20 + 18. */
const G711_BYTES = 50 * 218;

function notesOf(config: GatewayConfig): string[] {
  const { limits } = config;
  // A call makes about ten messages at this side, repeated ones included.
  const perSource = Math.ceil(limits.maxCallsPerSecondPerSource * 10);
  const total = Math.ceil(limits.maxCallsPerSecond * 10);
  const megabits = Math.ceil((limits.maxCalls * G711_BYTES * 8) / 1e6);
  const translated = config.sip.listeners.some((listener) => listener.advertise !== undefined);
  return [
    `rate: SIP over UDP: ${perSource} packets per second of one source, ${total} of all, fit limits.maxCallsPerSecond*; the gateway limits by itself, a limit here only spares it work`,
    `rate: SIP over TCP and TLS: ${limits.connectionsPerSource} connections of one source fit limits.connectionsPerSource`,
    `rate: media: ${limits.maxCalls} calls (limits.maxCalls) of G.711 are ${limits.maxCalls * 50} packets and ${megabits} Mbit per second each way; do not limit single sources below 200 packets per second`,
    ...(translated
      ? ['addresses are those behind the translation (advertised ones are translated before the filter)']
      : []),
    ...(config.peers.some(
      (peer) => peer.host !== '' && peer.port === undefined && !/^[0-9.]+$|:/.test(peer.host),
    )
      ? ['a peer known by name may be on other ports (SRV records); add them where it is']
      : []),
    'nothing from the Internet may reach the tunnel ports; no rule here permits it',
  ];
}
