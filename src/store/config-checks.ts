/**
 * Checks that need the whole configuration. Here: names, sockets and media pools with their families, the operator's access; the rest in
 * a file of its own for each part. Pure.
 */
import type { GatewayConfig } from '../gateway/config.ts';
import { formatAddress } from '../machine/address.ts';
import type { Findings } from './config-findings.ts';
import { checkH323 } from './config-h323-checks.ts';
import { checkPeer } from './config-peer-checks.ts';
import { checkPorts } from './config-port-checks.ts';
import { checkRole } from './config-role-checks.ts';
import { checkRoutes } from './config-route-checks.ts';
import type { ConfigFile } from './config-schema.ts';
import { familyOf, isLoopback, isWildcard } from './config-values.ts';

/** `file`: as written (to see what was left out); `config`: completed. */
export function checkConfig(file: ConfigFile, config: GatewayConfig, findings: Findings): void {
  checkNames(config, findings);
  checkRole(file, config, findings);
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
