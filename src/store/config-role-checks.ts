/** Checks of what each role must and must not have: whom it dials or lets dial, whom it contacts, whose secrets it holds. Pure. */
import type { GatewayConfig } from '../gateway/config.ts';
import type { Findings } from './config-findings.ts';
import type { ConfigFile } from './config-schema.ts';
import { isWildcard } from './config-values.ts';
import { suggestion } from './suggest.ts';
import type { ConfigPath } from './yaml-source.ts';

export function checkRole(file: ConfigFile, config: GatewayConfig, findings: Findings): void {
  if (config.role === 'relay') checkRelay(file, config, findings);
  else checkTermination(file, config, findings);
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
  const sites = config.tunnel.sites.map((site) => site.name);
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
