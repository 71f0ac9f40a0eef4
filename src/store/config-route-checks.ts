/** Checks of the dial rules: ends that exist, causes, rules that can never be reached. Pure. */
import type { GatewayConfig } from '../gateway/config.ts';
import type { Findings } from './config-findings.ts';
import { suggestion } from './suggest.ts';
import type { ConfigPath } from './yaml-source.ts';

export function checkRoutes(config: GatewayConfig, findings: Findings): void {
  const peers = config.peers.map((peer) => peer.name);
  const sites = config.tunnel.sites.map((site) => site.name);
  config.routes.forEach((route, index) => {
    const path = ['routes', index];
    checkEnd(config, [...path, 'from'], route.from, findings);
    checkEnd(config, [...path, 'to'], route.to, findings);
    if (route.to === 'tunnel' && config.role === 'termination' && sites.length > 1) {
      findings.error([...path, 'to'], `which site? write "tunnel:SITE"; ${suggestion('', sites)}`);
    }
    if (route.to === 'tunnel' && route.from.startsWith('tunnel') && config.role === 'relay') {
      findings.error(
        [...path, 'to'],
        'sends a call back where it came from; route it to a peer or refuse it',
      );
    }
    const registrar = config.peers.some((peer) => peer.authenticate === 'digest');
    if (route.to === 'registered' && !registrar && config.h323?.gatekeeper === undefined) {
      findings.error(
        [...path, 'to'],
        'nobody can register here: no peer has "authenticate: digest", and there is no "h323.gatekeeper"; add one, or route elsewhere',
      );
    }
    const cause = /^refuse:(\d+)$/.exec(route.to)?.[1];
    if (cause !== undefined && (Number(cause) < 1 || Number(cause) > 127)) {
      findings.error(
        [...path, 'to'],
        `${cause} is no Q.850 cause; use 1 to 127, for example "refuse:21" (call rejected)`,
      );
    }
    const peer = config.peers[peers.indexOf(route.to.replace(/^peer:/, ''))];
    if (route.to.startsWith('peer:') && peer?.host === '') {
      findings.error(
        [...path, 'to'],
        `peer "${peer.name}" has no "host" to send calls to; add one or route elsewhere`,
      );
    }
    const hidden = config.routes.slice(0, index).find((earlier) => hides(earlier, route));
    if (hidden !== undefined) {
      findings.warning(
        path,
        `is never reached: "${hidden.name}" above takes everything from "${hidden.from}"; move it up`,
      );
    }
  });
  if (!config.routes.some((route) => route.from.startsWith('tunnel'))) {
    findings.warning(
      ['routes'],
      'no rule for calls from the tunnel: all are refused; add one with "from: tunnel"',
    );
  }
  if (!config.routes.some((route) => route.from.startsWith('peer'))) {
    findings.warning(
      ['routes'],
      'no rule for calls from the peers: all are refused; add one with "from: peers"',
    );
  }
}

/** `peer:NAME` and `tunnel:SITE` must exist. */
function checkEnd(config: GatewayConfig, path: ConfigPath, end: string, findings: Findings): void {
  const [kind, name] = end.split(':');
  if (name === undefined || kind === 'refuse') return;
  if (kind === 'peer') {
    const known = config.peers.map((peer) => peer.name);
    if (!known.includes(name)) findings.error(path, `there is no peer "${name}"; ${suggestion(name, known)}`);
    return;
  }
  if (config.role === 'relay') {
    findings.error(path, 'a relay gateway has one tunnel; write "tunnel"');
    return;
  }
  const known = config.tunnel.sites.map((site) => site.name);
  if (!known.includes(name)) findings.error(path, `there is no site "${name}"; ${suggestion(name, known)}`);
}

function hides(earlier: GatewayConfig['routes'][number], later: GatewayConfig['routes'][number]): boolean {
  if (earlier.match !== '*' || (earlier.callerMatch ?? '*') !== '*') return false;
  if (earlier.from === later.from) return true;
  return (
    (earlier.from === 'peers' && later.from.startsWith('peer:')) ||
    (earlier.from === 'tunnel' && later.from.startsWith('tunnel:'))
  );
}
