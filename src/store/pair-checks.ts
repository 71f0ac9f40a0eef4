/** Checks a termination gateway's configuration against a relay gateway's: would these two work together? */
import { readFileSync } from 'node:fs';
import type { GatewayConfig } from '../gateway/config.ts';
import { formatAddress } from '../machine/address.ts';
import type { ConfigError, LoadedConfig } from './config.ts';
import { isWildcard } from './config-values.ts';
import { isIssuedBy } from './pki.ts';

export interface PairFindings {
  readonly errors: readonly ConfigError[];
  readonly warnings: readonly ConfigError[];
}

/** `files`: compare certificates too. */
export function checkPair(
  termination: LoadedConfig,
  relay: LoadedConfig,
  options: { readonly files: boolean },
): PairFindings {
  const errors: ConfigError[] = [];
  const warnings: ConfigError[] = [];
  checkNames(termination, relay, errors);
  checkAddresses(termination, relay, errors, warnings);
  checkCapacity(termination, relay, warnings);
  checkRules(termination, relay, errors, warnings);
  if (options.files) checkCertificates(termination, relay, errors);
  return { errors, warnings };
}

function checkNames(termination: LoadedConfig, relay: LoadedConfig, errors: ConfigError[]): void {
  const { name } = termination.config;
  if (relay.config.tunnel.peerName !== name) {
    errors.push(
      relay.finding(['tunnel', 'peerName'], `the termination gateway is named "${name}"; write that`),
    );
  }
  if (siteOf(termination.config, relay.config) === undefined) {
    const message = `does not list the relay gateway "${relay.config.name}"; add a site of that name`;
    errors.push(termination.finding(['tunnel', 'sites'], message));
  }
}

function siteOf(
  termination: GatewayConfig,
  relay: GatewayConfig,
): GatewayConfig['tunnel']['sites'][number] | undefined {
  return termination.tunnel.sites.find((site) => site.name === relay.name);
}

function checkAddresses(
  termination: LoadedConfig,
  relay: LoadedConfig,
  errors: ConfigError[],
  warnings: ConfigError[],
): void {
  for (const key of ['signalling', 'media'] as const) {
    const listens = termination.config.tunnel[key];
    const dials = relay.config.tunnel[key];
    const path = ['tunnel', key];
    if (dials.port !== listens.port) {
      errors.push(
        relay.finding(path, `dials port ${dials.port}, the termination gateway listens on ${listens.port}`),
      );
    } else if (dials.ip !== listens.ip && !isWildcard(listens.ip)) {
      const message = `dials ${formatAddress(dials)}, the termination gateway listens on ${formatAddress(listens)}; right only where the firewall translates addresses`;
      warnings.push(relay.finding(path, message));
    }
  }
}

function checkCapacity(termination: LoadedConfig, relay: LoadedConfig, warnings: ConfigError[]): void {
  const site = siteOf(termination.config, relay.config);
  const { limits } = relay.config;
  if (site === undefined) return;
  const index = termination.config.tunnel.sites.indexOf(site);
  if (site.maxCalls < limits.maxCalls) {
    const message = `allows ${site.maxCalls} calls, the relay gateway ${limits.maxCalls}; the smaller one counts`;
    warnings.push(termination.finding(['tunnel', 'sites', index], message));
  }
}

function checkRules(
  termination: LoadedConfig,
  relay: LoadedConfig,
  errors: ConfigError[],
  warnings: ConfigError[],
): void {
  const here = termination.config;
  const there = relay.config;
  const common = there.media.codecs.filter(
    (name) => here.media.codecs.includes(name) && !['telephone-event', 'CN', 'RED', 'T38'].includes(name),
  );
  if (common.length === 0) {
    errors.push(
      relay.finding(['media', 'codecs'], 'has no voice format in common with the termination gateway'),
    );
  }
  const toSite = here.routes.some((route) => route.to === `tunnel:${there.name}`);
  if (toSite && !there.routes.some((route) => route.from.startsWith('tunnel'))) {
    warnings.push(
      relay.finding(['routes'], 'the termination gateway sends calls here, but no rule has "from: tunnel"'),
    );
  }
  const outward = there.routes.some((route) => route.to.startsWith('tunnel'));
  if (
    outward &&
    !here.routes.some((route) => route.from === 'tunnel' || route.from === `tunnel:${there.name}`)
  ) {
    warnings.push(
      termination.finding(['routes'], `"${there.name}" sends calls here, but no rule has "from: tunnel"`),
    );
  }
  const challenged = here.peers.findIndex((peer) => peer.authenticate === 'digest');
  if (challenged >= 0 && there.accounts.length === 0) {
    const message =
      'is challenged, but the relay gateway has no accounts: nobody gets in; add "accounts" there';
    warnings.push(termination.finding(['peers', challenged, 'authenticate'], message));
  }
}

/** Each gateway must have the CA of the other's certificate. */
function checkCertificates(termination: LoadedConfig, relay: LoadedConfig, errors: ConfigError[]): void {
  for (const [one, other] of [
    [termination, relay],
    [relay, termination],
  ] as const) {
    const certificate = readFileSync(other.config.tunnel.certificate, 'utf8');
    const authorities = readFileSync(one.config.tunnel.ca, 'utf8').match(
      /-----BEGIN [^-]*-----[^-]*-----END [^-]*-----/g,
    );
    if (!(authorities ?? []).some((authority) => isIssuedBy(certificate, authority))) {
      const message = `does not hold the CA of "${other.config.name}"; both gateways need certificates of one CA`;
      errors.push(one.finding(['tunnel', 'ca'], message));
    }
  }
}
