/** Checks of the H.323 part of a configuration: sockets, the gatekeepers we use and the one we are. Pure. */
import type { GatewayConfig } from '../gateway/config.ts';
import { formatAddress } from '../machine/address.ts';
import type { Findings } from './config-findings.ts';
import { familyOf, isWildcard, parseIp } from './config-values.ts';
import { suggestion } from './suggest.ts';
import type { ConfigPath } from './yaml-source.ts';

export function checkH323(config: GatewayConfig, findings: Findings): void {
  const { h323, sip } = config;
  const listeners = h323?.listeners ?? [];
  if (sip.listeners.length === 0 && listeners.length === 0) {
    findings.error([], 'no socket to be reached at: add one under "sip.listeners" or "h323.listeners"');
  }
  if (h323 !== undefined && listeners.length === 0) {
    findings.error(
      ['h323'],
      'has no listener; add one with "transport: tcp" and port 1720 under "listeners"',
    );
  }
  listeners.forEach((listener, index) => {
    const path = ['h323', 'listeners', index];
    if (sip.listeners.some((other) => other.name === listener.name)) {
      findings.error([...path, 'name'], `"${listener.name}" is taken by a SIP listener; choose another`);
    }
    const { address, advertise } = listener;
    if (advertise === undefined) {
      if (isWildcard(address.ip)) {
        findings.error(
          [...path, 'address'],
          'a wildcard cannot be told to peers; add "advertise: ADDRESS:PORT" or listen on one address',
        );
      }
    } else if (familyOf(advertise.ip) !== familyOf(address.ip)) {
      findings.error(
        [...path, 'advertise'],
        `mixes address families with ${formatAddress(address)}; use one listener per family`,
      );
    } else if (isWildcard(advertise.ip)) {
      findings.error([...path, 'advertise'], 'a wildcard cannot be told to peers; give the address they see');
    }
    if (!config.media.pools.some((pool) => familyOf(pool.ip) === familyOf(address.ip))) {
      const family = familyOf(address.ip);
      findings.error([...path, 'address'], `no media pool for IPv${family}; add one under "media.pools"`);
    }
  });
  if (h323 !== undefined && h323.h245Ports[1] < h323.h245Ports[0]) {
    findings.error(['h323', 'h245Ports'], 'ends before it begins; write the smaller port first');
  }
  checkGatekeeper(config, findings);
  config.peers.forEach((_, index) => {
    checkPeer(config, index, findings);
  });
}

function checkGatekeeper(config: GatewayConfig, findings: Findings): void {
  const service = config.h323?.gatekeeper;
  if (service === undefined) return;
  const path = ['h323', 'gatekeeper'];
  named(config, [...path, 'listener'], service.listener, 'udp', findings);
  named(config, [...path, 'signalling'], service.signalling, 'tcp', findings);
  const peer = config.peers.find((p) => p.name === service.peer);
  if (peer?.protocol !== 'h323') {
    const names = config.peers.filter((p) => p.protocol === 'h323').map((p) => p.name);
    findings.error(
      [...path, 'peer'],
      `there is no H.323 peer "${service.peer}"; ${names.length === 0 ? 'add one with "protocol: h323"' : suggestion(service.peer, names)}`,
    );
  } else if (peer.sources.length === 0) {
    findings.error(
      [...path, 'peer'],
      `peer "${peer.name}" has no "sources": no terminal may register; add them`,
    );
  }
  if (config.accounts.length === 0) {
    findings.error(
      path,
      config.role === 'relay'
        ? 'no "accounts": no terminal may register; add them'
        : 'account secrets live in the intranet only; a gatekeeper for terminals belongs into the relay gateway',
    );
  } else if (service.open) {
    findings.warning(
      [...path, 'open'],
      'lets whoever sends from the peer\'s sources take any number of "accounts"',
    );
  }
}

function checkPeer(config: GatewayConfig, index: number, findings: Findings): void {
  const peer = config.peers[index]!;
  const path = ['peers', index];
  if (peer.protocol !== 'h323') {
    if (peer.h323 !== undefined)
      findings.error(
        [...path, 'h323'],
        'has no use with protocol "sip"; take it out or write "protocol: h323"',
      );
    return;
  }
  for (const key of ['transport', 'certificateName', 'credentials', 'challenges'] as const) {
    if (peer[key] !== undefined)
      findings.error([...path, key], 'has no use with protocol "h323"; take it out');
  }
  if (peer.authenticate === 'digest') {
    findings.error(
      [...path, 'authenticate'],
      'is SIP\'s; H.323 terminals prove themselves to "h323.gatekeeper" (H.235.1)',
    );
  }
  if (peer.listener !== undefined) named(config, [...path, 'listener'], peer.listener, 'tcp', findings);
  else needed(config, [...path, 'host'], peer.host, 'tcp', findings);
  const gatekeeper = peer.h323?.gatekeeper;
  if (gatekeeper === undefined) return;
  const at = [...path, 'h323', 'gatekeeper'];
  if (gatekeeper.listener !== undefined)
    named(config, [...at, 'listener'], gatekeeper.listener, 'udp', findings);
  else needed(config, [...at, 'host'], gatekeeper.host, 'udp', findings);
  if ((gatekeeper.username === undefined) !== (gatekeeper.password === undefined)) {
    findings.error(at, '"username" and "password" go together; add the other');
  }
}

/** A listener that is named must exist and be of this transport. */
function named(
  config: GatewayConfig,
  path: ConfigPath,
  name: string,
  transport: 'tcp' | 'udp',
  findings: Findings,
): void {
  const listeners = config.h323?.listeners ?? [];
  const found = listeners.find((l) => l.name === name);
  if (found === undefined) {
    const names = listeners.filter((l) => l.transport === transport).map((l) => l.name);
    const next = names.length === 0 ? 'add one under "h323.listeners"' : suggestion(name, names);
    findings.error(path, `there is no H.323 listener "${name}"; ${next}`);
  } else if (found.transport !== transport) {
    findings.error(
      path,
      `H.323 listener "${name}" is ${found.transport}; name one with "transport: ${transport}"`,
    );
  }
}

/** A call or registration must find a socket to leave from. */
function needed(
  config: GatewayConfig,
  path: ConfigPath,
  host: string,
  transport: 'tcp' | 'udp',
  findings: Findings,
): void {
  if (host === '') return;
  const literal = parseIp(host);
  const fits = (config.h323?.listeners ?? []).some(
    (l) => l.transport === transport && (!literal.ok || familyOf(l.address.ip) === familyOf(literal.value)),
  );
  if (fits) return;
  const family = literal.ok ? ` for IPv${familyOf(literal.value)}` : '';
  findings.error(
    path,
    `no H.323 listener with transport "${transport}"${family}; add one under "h323.listeners"`,
  );
}
