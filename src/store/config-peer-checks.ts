/** Checks of the neighbours: an address or name that can be reached, evidence of who is one, a socket to send from. Pure. */
import type { GatewayConfig } from '../gateway/config.ts';
import type { SignallingTransport } from '../machine/address.ts';
import type { Findings } from './config-findings.ts';
import { familyOf, isLoopback, isWildcard, parseIp } from './config-values.ts';
import { suggestion } from './suggest.ts';
import type { ConfigPath } from './yaml-source.ts';

export function checkPeer(config: GatewayConfig, index: number, findings: Findings): void {
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
        `there is no listener "${peer.listener}"; ${suggestion(
          peer.listener,
          listeners.map((listener) => listener.name),
        )}`,
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
