/** Checks that need the whole configuration: references, roles, families, ports, dial rules. Pure. */
import type { GatewayConfig } from '../gateway/config.ts';
import type { SignallingTransport } from '../machine/address.ts';
import { formatAddress } from '../machine/address.ts';
import { checkH323 } from './config-h323-checks.ts';
import { checkRoutes } from './config-route-checks.ts';
import type { ConfigFile } from './config-schema.ts';
import { bindsOverlap, familyOf, isLoopback, isWildcard, parseIp } from './config-values.ts';
import { suggestion } from './suggest.ts';
import type { ConfigPath } from './yaml-source.ts';

export interface Findings {
  error(path: ConfigPath, message: string): void;
  warning(path: ConfigPath, message: string): void;
}

/** `file`: as written (to see what was left out); `config`: completed. */
export function checkConfig(file: ConfigFile, config: GatewayConfig, findings: Findings): void {
  checkNames(config, findings);
  if (config.role === 'relay') checkRelay(file, config, findings);
  else checkTermination(file, config, findings);
  checkTunnelAddresses(config, findings);
  checkListeners(config, findings);
  checkPools(file, config, findings);
  checkPorts(config, findings);
  config.peers.forEach((_, index) => {
    checkPeer(config, index, findings);
  });
  checkH323(config, findings);
  checkRoutes(config, findings);
  checkOperator(config, findings);
  if (config.media.codecs.every((name) => ['telephone-event', 'CN', 'RED', 'T38'].includes(name))) {
    findings.error(['media', 'codecs'], 'has no voice format; add "PCMA" or "PCMU"');
  }
}

function checkNames(config: GatewayConfig, findings: Findings): void {
  const unique = (path: string[], values: readonly string[], key: string): void => {
    const first = new Map<string, number>();
    values.forEach((value, index) => {
      const earlier = first.get(value);
      if (earlier === undefined) first.set(value, index);
      else {
        findings.error(
          [...path, index, key],
          `"${value}" is taken by ${path.join('.')}[${earlier}]; choose another`,
        );
      }
    });
  };
  unique(['sip', 'listeners'], config.sip.listeners.map(nameOf), 'name');
  unique(['h323', 'listeners'], (config.h323?.listeners ?? []).map(nameOf), 'name');
  unique(['peers'], config.peers.map(nameOf), 'name');
  unique(['routes'], config.routes.map(nameOf), 'name');
  unique(['tunnel', 'sites'], config.tunnel.sites.map(nameOf), 'name');
  unique(
    ['accounts'],
    config.accounts.map((account) => account.username),
    'username',
  );
  unique(
    ['accounts'],
    config.accounts.map((account) => account.number),
    'number',
  );
}

function nameOf(item: { readonly name: string }): string {
  return item.name;
}

/** GW1: dials one named gateway and contacts a closed list of peers, nobody else. */
function checkRelay(file: ConfigFile, config: GatewayConfig, findings: Findings): void {
  const { tunnel } = config;
  if (file.tunnel.signalling === undefined) {
    findings.error(
      ['tunnel'],
      'a relay gateway dials; add "signalling: ADDRESS:7060" of the termination gateway',
    );
  } else if (isWildcard(tunnel.signalling.ip)) {
    findings.error(
      ['tunnel', 'signalling'],
      `"${tunnel.signalling.ip}" cannot be dialled; give the termination gateway's address`,
    );
  }
  if (tunnel.peerName === undefined) {
    findings.error(
      ['tunnel'],
      '"peerName" is missing; add the termination gateway\'s name as in its certificate',
    );
  }
  if (tunnel.sites.length > 0) {
    findings.error(
      ['tunnel', 'sites'],
      'sites belong into the termination gateway; take them out of this file',
    );
  }
  config.accounts.forEach((account, index) => {
    const path = ['accounts', index];
    if (account.password === undefined)
      findings.error(path, 'has no "password"; add one of at least 8 characters');
    if (account.site !== undefined) {
      findings.error([...path, 'site'], 'is for the termination gateway; take it out here');
    }
  });
  if (config.peers.length === 0) {
    findings.error(
      ['peers'],
      'a relay gateway contacts only the peers listed here and none is; add the IP-PBX',
    );
  }
  config.mediaNetworks.forEach((network, index) => {
    checkClosed(['mediaNetworks', index], network, findings);
  });
  config.peers.forEach((peer, index) => {
    peer.sources.forEach((network, at) => {
      checkClosed(['peers', index, 'sources', at], network, findings);
    });
    peer.mediaNetworks.forEach((network, at) => {
      checkClosed(['peers', index, 'mediaNetworks', at], network, findings);
    });
  });
}

function checkClosed(path: ConfigPath, network: string, findings: Findings): void {
  const length = Number(network.split('/')[1]);
  if (length === 0) {
    findings.error(
      path,
      `"${network}" is everybody; a relay gateway needs a closed list: name the intranet's networks`,
    );
  } else if (length < (network.includes(':') ? 32 : 8)) {
    findings.warning(path, `"${network}" is very wide for an intranet; narrow it`);
  }
}

function checkTermination(file: ConfigFile, config: GatewayConfig, findings: Findings): void {
  if (config.tunnel.peerName !== undefined) {
    findings.error(
      ['tunnel', 'peerName'],
      'belongs into the relay gateway; list its name under "tunnel.sites" here',
    );
  }
  if (config.tunnel.sites.length === 0) {
    findings.error(
      ['tunnel'],
      'nobody may dial; add "sites:" with "- name: NAME" of the relay gateway\'s certificate',
    );
  }
  config.tunnel.sites.forEach((site, index) => {
    if (site.name === config.name) {
      findings.error(
        ['tunnel', 'sites', index, 'name'],
        'is the name of this gateway; give the relay gateway its own',
      );
    }
  });
  if (config.accounts.some((account) => account.password !== undefined)) {
    findings.error(['accounts'], 'account secrets live in the intranet only; move them to the relay gateway');
  }
  const sites = config.tunnel.sites.map(nameOf);
  config.accounts.forEach(({ site, password }, index) => {
    const path = ['accounts', index];
    if (site === undefined) {
      if (password !== undefined) return;
      findings.error(
        path,
        'has no "site"; accounts of the first site need not be listed here, name that of another',
      );
    } else if (!sites.includes(site)) {
      findings.error([...path, 'site'], `there is no site "${site}"; ${suggestion(site, sites)}`);
    }
  });
  if (config.mediaNetworks.length > 0) {
    findings.error(['mediaNetworks'], 'is for relay gateways; here use "mediaNetworks" of a peer');
  }
  if (isWildcard(config.tunnel.signalling.ip)) {
    const given = file.tunnel.signalling === undefined ? ['tunnel'] : ['tunnel', 'signalling'];
    findings.warning(
      given,
      'listens on every interface, the Internet side too; give the address the relay gateway dials',
    );
  }
}

function checkTunnelAddresses(config: GatewayConfig, findings: Findings): void {
  const { signalling, media } = config.tunnel;
  const path = ['tunnel', 'media'];
  if (familyOf(signalling.ip) !== familyOf(media.ip)) {
    findings.error(
      path,
      `mixes address families with signalling ${formatAddress(signalling)}; use the same host for both`,
    );
  } else if (signalling.ip !== media.ip) {
    findings.error(
      path,
      `is another host than signalling ${formatAddress(signalling)}; the firewall permits one host, two ports`,
    );
  } else if (signalling.port === media.port) {
    findings.error(
      path,
      `is the port of signalling too; use two ports, for example ${signalling.port} and ${signalling.port + 1}`,
    );
  }
}

function checkListeners(config: GatewayConfig, findings: Findings): void {
  config.sip.listeners.forEach((listener, index) => {
    const path = ['sip', 'listeners', index];
    if (listener.advertise === undefined) {
      if (isWildcard(listener.address.ip)) {
        findings.error(
          [...path, 'address'],
          'a wildcard cannot be told to peers; add "advertise: ADDRESS:PORT" or listen on one address',
        );
      }
    } else if (familyOf(listener.advertise.ip) !== familyOf(listener.address.ip)) {
      findings.error(
        [...path, 'advertise'],
        `mixes address families with ${formatAddress(listener.address)}; use one listener per family`,
      );
    } else if (isWildcard(listener.advertise.ip)) {
      findings.error([...path, 'advertise'], 'a wildcard cannot be told to peers; give the address they see');
    }
    if (listener.transport === 'tls') {
      for (const key of ['certificate', 'key'] as const) {
        if (listener[key] === undefined) findings.error(path, `transport "tls" needs "${key}"; add it`);
      }
      return;
    }
    for (const key of ['certificate', 'key', 'clientCa'] as const) {
      if (listener[key] !== undefined) {
        findings.error(
          [...path, key],
          `has no use with transport "${listener.transport}"; take it out or use "tls"`,
        );
      }
    }
  });
}

function checkPools(file: ConfigFile, config: GatewayConfig, findings: Findings): void {
  const { pools } = config.media;
  // Derived pools have the addresses of listeners, which are checked there.
  file.media.pools.forEach((pool, index) => {
    const path = ['media', 'pools', index];
    const [first, last] = pool.ports;
    if (last - first < 3)
      findings.error([...path, 'ports'], `${first}..${last} holds less than two pairs; widen it`);
    if (pools.findIndex((other) => familyOf(other.ip) === familyOf(pool.ip)) < index) {
      findings.error(
        [...path, 'ip'],
        `a second pool for IPv${familyOf(pool.ip)}; use one per address family`,
      );
    }
    if (pool.advertise === undefined) {
      if (isWildcard(pool.ip))
        findings.error([...path, 'ip'], 'a wildcard cannot stand in SDP; give one address or "advertise"');
    } else if (familyOf(pool.advertise) !== familyOf(pool.ip)) {
      findings.error(
        [...path, 'advertise'],
        `mixes address families with ${pool.ip}; use one pool per family`,
      );
    } else if (isWildcard(pool.advertise)) {
      findings.error([...path, 'advertise'], 'a wildcard cannot stand in SDP; give the address peers see');
    }
  });
  config.sip.listeners.forEach((listener, index) => {
    if (!pools.some((pool) => familyOf(pool.ip) === familyOf(listener.address.ip))) {
      const family = familyOf(listener.address.ip);
      findings.error(
        ['sip', 'listeners', index, 'address'],
        `no media pool for IPv${family}; add one under "media.pools"`,
      );
    }
  });
}

interface Bound {
  readonly path: ConfigPath;
  readonly protocol: 'udp' | 'tcp';
  readonly ip: string;
  readonly ports: readonly [number, number];
  readonly what: string;
}

/** No two sockets of this gateway on one port. */
function checkPorts(config: GatewayConfig, findings: Findings): void {
  const one = (port: number): [number, number] => [port, port];
  const bound: Bound[] = [];
  if (config.role === 'termination') {
    for (const key of ['signalling', 'media'] as const) {
      const { ip, port } = config.tunnel[key];
      bound.push({ path: ['tunnel', key], protocol: 'tcp', ip, ports: one(port), what: `tunnel.${key}` });
    }
  }
  // Pools first: where they are derived from listeners, the fault is shown at the listener.
  config.media.pools.forEach((pool, index) => {
    const path = ['media', 'pools', index, 'ports'];
    bound.push({ path, protocol: 'udp', ip: pool.ip, ports: pool.ports, what: 'the media ports' });
  });
  config.sip.listeners.forEach(({ name, transport, address }, index) => {
    const protocol = transport === 'udp' ? 'udp' : 'tcp';
    const path = ['sip', 'listeners', index, 'address'];
    bound.push({ path, protocol, ip: address.ip, ports: one(address.port), what: `listener "${name}"` });
  });
  const { h323 } = config;
  h323?.listeners.forEach(({ name, transport, address }, index) => {
    const path = ['h323', 'listeners', index, 'address'];
    bound.push({
      path,
      protocol: transport,
      ip: address.ip,
      ports: one(address.port),
      what: `listener "${name}"`,
    });
  });
  for (const { transport, address } of h323?.listeners ?? []) {
    if (transport === 'udp') continue;
    const path = ['h323', 'h245Ports'];
    bound.push({ path, protocol: 'tcp', ip: address.ip, ports: h323!.h245Ports, what: 'h323.h245Ports' });
  }
  const { metrics } = config.operator;
  if (metrics !== undefined) {
    const path = ['operator', 'metrics'];
    bound.push({ path, protocol: 'tcp', ip: metrics.ip, ports: one(metrics.port), what: 'operator.metrics' });
  }
  // checkTunnelAddresses has compared the two tunnel ports with each other already.
  bound.forEach((later, index) => {
    const clash = bound
      .slice(0, index)
      .find((earlier) => earlier.what !== later.what && overlaps(earlier, later));
    if (clash !== undefined && !(index === 1 && later.path[0] === 'tunnel')) {
      findings.error(
        later.path,
        `takes the same ${later.protocol.toUpperCase()} port as ${clash.what}; choose another`,
      );
    }
  });
}

function overlaps(a: Bound, b: Bound): boolean {
  if (a.protocol !== b.protocol || !bindsOverlap(a.ip, b.ip)) return false;
  return a.ports[0] <= b.ports[1] && b.ports[0] <= a.ports[1];
}

function checkPeer(config: GatewayConfig, index: number, findings: Findings): void {
  const peer = config.peers[index]!;
  const path = ['peers', index];
  const literal = parseIp(peer.host);
  if (!literal.ok && /^[0-9.]+$|:/.test(peer.host)) {
    findings.error(
      [...path, 'host'],
      `"${peer.host}" is neither an address nor a host name; the port has its own key "port"`,
    );
    return;
  }
  if (peer.host === '' && peer.sources.length === 0 && peer.certificateName === undefined) {
    findings.error(path, 'has no "host", "sources" or "certificateName": nobody is this peer; add one');
  }
  if (peer.host !== '' && !literal.ok && peer.sources.length === 0 && peer.certificateName === undefined) {
    findings.warning(
      [...path, 'host'],
      'is a name: calls to this peer work, requests from it get no answer until "sources" lists its networks; add them',
    );
  }
  if (
    peer.certificateName !== undefined &&
    peer.protocol === 'sip' &&
    !config.sip.listeners.some((item) => item.clientCa !== undefined)
  ) {
    findings.error(
      [...path, 'certificateName'],
      'no listener asks for client certificates; add "clientCa" to a TLS listener',
    );
  }
  if (peer.register === true) checkRegister(peer, path, findings);
  else if (
    peer.registerAs !== undefined ||
    peer.registerDomain !== undefined ||
    peer.registerSeconds !== undefined
  ) {
    findings.warning(path, 'has a "register..." key but does not register; add "register: true"');
  }
  if (peer.credentials !== undefined && peer.credentials.realm === undefined) {
    findings.warning([...path, 'credentials'], 'answers a challenge of any realm; add "realm"');
  }
  const reachesLoopback = (host: string): boolean => isLoopback(host) || isWildcard(host);
  if (
    isLoopback(peer.host) &&
    peer.protocol === 'sip' &&
    !config.sip.listeners.some((listener) => reachesLoopback(listener.address.ip))
  ) {
    findings.warning([...path, 'host'], 'is this machine, but no listener is on a loopback address');
  }
  if (peer.protocol === 'sip')
    checkPeerListener(config, index, literal.ok ? literal.value : undefined, findings);
}

function checkRegister(peer: GatewayConfig['peers'][number], path: ConfigPath, findings: Findings): void {
  const at = [...path, 'register'];
  if (peer.protocol !== 'sip') {
    findings.error(at, 'is for SIP; an H.323 peer registers with "h323.gatekeeper"');
  }
  if (peer.host === '') findings.error(at, 'needs a "host" to register with');
  if (peer.credentials === undefined && peer.registerAs === undefined) {
    findings.error(at, 'needs "credentials" (or "registerAs", where the trunk asks for none)');
  }
}

/** A request to the peer must find a socket to leave from. */
function checkPeerListener(
  config: GatewayConfig,
  index: number,
  ip: string | undefined,
  findings: Findings,
): void {
  const peer = config.peers[index]!;
  const path = ['peers', index];
  const { listeners } = config.sip;
  const fits = (listener: { transport: SignallingTransport; address: { ip: string } }): boolean =>
    (peer.transport === undefined || listener.transport === peer.transport) &&
    (ip === undefined || familyOf(listener.address.ip) === familyOf(ip));
  const needed =
    `${peer.transport === undefined ? '' : `transport "${peer.transport}" `}${ip === undefined ? '' : `IPv${familyOf(ip)}`}`.trim();
  if (peer.listener !== undefined) {
    const chosen = listeners.find((listener) => listener.name === peer.listener);
    if (chosen === undefined) {
      findings.error(
        [...path, 'listener'],
        `there is no listener "${peer.listener}"; ${suggestion(peer.listener, listeners.map(nameOf))}`,
      );
    } else if (peer.host !== '' && !fits(chosen)) {
      findings.error(
        [...path, 'listener'],
        `listener "${peer.listener}" does not fit this peer (${needed}); choose another`,
      );
    }
  } else if (peer.host !== '' && !listeners.some(fits)) {
    findings.error([...path, 'host'], `no listener for ${needed}; add one under "sip.listeners"`);
  }
}

/** A UNIX socket path has 108 octets in sockaddr_un, one of them the closing zero. */
const SOCKET_PATH = 107;

function checkOperator(config: GatewayConfig, findings: Findings): void {
  const { socket, metrics } = config.operator;
  const length = new TextEncoder().encode(socket).length;
  if (length > SOCKET_PATH) {
    findings.error(
      ['operator', 'socket'],
      `has ${length} octets, the system allows ${SOCKET_PATH}; use a shorter path`,
    );
  }
  if (metrics !== undefined && !isLoopback(metrics.ip)) {
    findings.error(
      ['operator', 'metrics'],
      `metrics are served on loopback only; write "127.0.0.1:${metrics.port}"`,
    );
  }
}
