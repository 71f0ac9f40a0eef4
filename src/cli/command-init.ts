/** `voip-sgw init`: a working pair of configurations with a private CA. `certificate` and `renew` keep it going. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseCidr, parseIp } from '../store/config-values.ts';
import {
  type CertificateUse,
  createAuthority,
  isIssuedBy,
  issueCertificate,
  readKeyed,
  renewCertificate,
  writeFileAtomically,
  writeKeyed,
} from '../store/pki.ts';
import { configJsonSchemaText } from '../store/schema.ts';
import { type InitPlan, relayYaml, terminationYaml } from './init-templates.ts';
import { CliError, type Io, printJson, usageError } from './io.ts';

export interface InitOptions {
  readonly terminationName: string;
  readonly relayName: string;
  readonly terminationAddress: string;
  readonly relayAddress: string;
  readonly internet: string;
  readonly public?: string;
  readonly pbx: string;
  readonly pbxMedia: readonly string[];
  readonly trunk?: string;
  readonly trunkSource: readonly string[];
  readonly domain: string;
  readonly signallingPort: string;
  readonly mediaPort: string;
  readonly caDays: string;
  readonly days: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export async function initCommand(folder: string, options: InitOptions, io: Io): Promise<void> {
  const plan = planOf(options);
  const caDays = wholeNumber('--ca-days', options.caDays, 1, 36_500);
  const days = wholeNumber('--days', options.days, 1, 3650);
  const pki = join(folder, 'pki');
  const leaves: {
    readonly file: string;
    readonly use: CertificateUse;
    readonly names: string[];
    ips?: string[];
  }[] = [
    { file: plan.terminationName, use: 'termination', names: [plan.terminationName] },
    { file: plan.relayName, use: 'relay', names: [plan.relayName] },
    {
      file: `${plan.terminationName}-sip`,
      use: 'sip',
      names: [plan.domain],
      ips: [...new Set([plan.publicAddress ?? plan.internet, plan.internet])],
    },
  ];
  const yaml = [
    { file: 'termination.yaml', text: terminationYaml(plan), mode: 0o600 },
    { file: 'relay.yaml', text: relayYaml(plan), mode: 0o600 },
    { file: 'voip-sgw.schema.json', text: configJsonSchemaText(), mode: 0o644 },
  ];
  const keyed = ['ca', ...leaves.map((leaf) => leaf.file)].flatMap((name) => [
    `pki/${name}.crt`,
    `pki/${name}.key`,
  ]);
  const files = [...yaml.map((item) => item.file), ...keyed];
  refuseOverwrite(folder, files, options.force === true);

  makeFolder(pki);
  chmodSync(pki, 0o700);
  const authority = await createAuthority(`private CA (${plan.terminationName})`, { days: caDays });
  writeKeyed(authority, join(pki, 'ca.crt'), join(pki, 'ca.key'));
  for (const { file, use, names, ips } of leaves) {
    const leaf = await issueCertificate(authority, {
      use,
      dnsNames: names,
      days,
      ...(ips === undefined ? {} : { ips }),
    });
    writeKeyed(leaf, join(pki, `${file}.crt`), join(pki, `${file}.key`));
  }
  for (const { file, text, mode } of yaml) writeFileAtomically(join(folder, file), text, mode);
  const next = nextSteps(folder, plan);
  if (options.json === true) printJson(io, { folder, files, next });
  else
    io.stdout(
      `Wrote to ${folder}:\n${files.map((file) => `  ${file}\n`).join('')}\nNext:\n${numbered(next)}`,
    );
}

/**
 * Not by Node's `recursive`: where the system says that a folder's parent does not exist although it does (/proc), that tries for ever
 * (seen with Node 20).
 */
function makeFolder(path: string): void {
  const missing: string[] = [];
  let at = resolve(path);
  for (; !existsSync(at); at = dirname(at)) missing.push(at);
  try {
    for (const folder of missing.reverse()) mkdirSync(folder, { mode: 0o700 });
    if (!statSync(path).isDirectory()) throw new Error('it is not a folder');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw usageError(`cannot make the folder ${path} (${why}); choose another one`);
  }
}

function refuseOverwrite(folder: string, files: readonly string[], force: boolean): void {
  const there = files.filter((file) => existsSync(join(folder, file)));
  if (there.length === 0 || force) return;
  throw new CliError(
    `${folder} already has ${there.join(', ')}; nothing was written. Choose another folder, or --force to replace them all (with new keys)`,
    2,
  );
}

function nextSteps(folder: string, plan: InitPlan): string[] {
  const termination = join(folder, 'termination.yaml');
  const relay = join(folder, 'relay.yaml');
  const { terminationName, relayName } = plan;
  return [
    `Read and adapt ${termination} and ${relay}, then: voip-sgw check ${termination} ${relay}`,
    `To the termination gateway copy termination.yaml, pki/ca.crt, pki/${terminationName}.* and pki/${terminationName}-sip.*; to the relay gateway relay.yaml, pki/ca.crt and pki/${relayName}.*`,
    'Keep pki/ca.key off both gateways; it is needed for "voip-sgw renew" within a year only',
    `Firewalls: voip-sgw firewall --config ${termination} --relay-address ${plan.relayAddress}`,
    `Start: voip-sgw termination --config ${termination}   and   voip-sgw relay --config ${relay}`,
    `Look: voip-sgw status --config ${relay}   and   voip-sgw calls --config ${relay} --watch`,
  ];
}

function numbered(steps: readonly string[]): string {
  return steps.map((step, index) => `  ${index + 1}. ${step}\n`).join('');
}

function planOf(options: InitOptions): InitPlan {
  const relayAddress = ip('--relay-address', options.relayAddress);
  const internet = ip('--internet', options.internet);
  const terminationAddress = ip('--termination-address', options.terminationAddress);
  // A trial on one machine: both gateways and the IP-PBX share one address and need different ports.
  const together = relayAddress === internet;
  const pbx = hostPort('--pbx', options.pbx);
  const trunk = options.trunk === undefined ? undefined : hostPort('--trunk', options.trunk);
  const relayPort = together ? 5070 : 5060;
  const pbxPort = pbx.port ?? 5060;
  if (pbx.host === relayAddress && pbxPort === relayPort) {
    throw usageError(
      `--pbx ${options.pbx} is where the relay gateway itself listens; give the IP-PBX's own port`,
    );
  }
  const terminationName = gatewayName('--termination-name', options.terminationName);
  const relayName = gatewayName('--relay-name', options.relayName);
  if (relayName === terminationName || relayName === `${terminationName}-sip`) {
    throw usageError(
      `--relay-name: certificate and key of "${relayName}" are the termination gateway's; take another name`,
    );
  }
  const signallingPort = wholeNumber('--signalling-port', options.signallingPort, 1, 65535);
  const mediaPort = wholeNumber('--media-port', options.mediaPort, 1, 65535);
  if (signallingPort === mediaPort) {
    throw usageError(`--media-port: ${mediaPort} is the port of signalling too; take two ports`);
  }
  return {
    terminationName,
    relayName,
    terminationAddress,
    signallingPort,
    mediaPort,
    internet,
    ...(options.public === undefined ? {} : { publicAddress: ip('--public', options.public) }),
    relayAddress,
    relayPort,
    relayPool: together ? [10000, 16383] : [16384, 32767],
    pbxHost: pbx.host,
    pbxPort,
    pbxNetworks: networks('--pbx-media', options.pbxMedia),
    trunkNetworks: networks('--trunk-source', options.trunkSource),
    ...(trunk === undefined ? {} : { trunkHost: trunk.host }),
    ...(trunk?.port === undefined ? {} : { trunkPort: trunk.port }),
    domain: domainName(options.domain),
    userPassword: randomBytes(12).toString('base64url'),
  };
}

function ip(option: string, text: string): string {
  const parsed = parseIp(text);
  if (!parsed.ok) throw usageError(`${option}: ${parsed.error}`);
  return parsed.value;
}

function networks(option: string, texts: readonly string[]): string[] {
  return texts.map((text) => {
    const parsed = parseCidr(text);
    if (!parsed.ok) throw usageError(`${option}: ${parsed.error}`);
    return parsed.value;
  });
}

/** `host`, `host:port`, `192.0.2.1:5060`, `[2001:db8::1]:5060` or a bare IPv6 address. */
function hostPort(option: string, text: string): { readonly host: string; readonly port?: number } {
  const bare = parseIp(text);
  if (bare.ok) return { host: bare.value };
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text);
  if (match === null)
    throw usageError(`${option}: "${text}" is not HOST or HOST:PORT; write for example 10.0.0.20:5060`);
  const host = match[1] === undefined ? match[2]! : ip(option, match[1]);
  return match[3] === undefined ? { host } : { host, port: wholeNumber(option, match[3], 1, 65535) };
}

function gatewayName(option: string, text: string): string {
  if (text === 'ca') throw usageError(`${option}: "ca" is the CA's own file in pki; take another name`);
  if (/^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$/.test(text)) return text;
  throw usageError(`${option}: "${text}" must be 1 to 64 characters a-z, 0-9, "-" and "."`);
}

function domainName(text: string): string {
  if (/^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/.test(text)) return text;
  throw usageError(`--domain: "${text}" is not a DNS name; write for example example.com`);
}

export function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw usageError(`${option}: "${text}" must be a whole number, ${least} to ${most}`);
}

export interface CertificateOptions {
  readonly dir: string;
  readonly use: CertificateUse;
  readonly ip: readonly string[];
  readonly days: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** A further certificate of the CA in DIR/pki, for example of a second relay gateway. */
export async function certificateCommand(name: string, options: CertificateOptions, io: Io): Promise<void> {
  const pki = pkiOf(options.dir);
  const file = gatewayName('NAME', name);
  refuseOverwrite(options.dir, [`pki/${file}.crt`, `pki/${file}.key`], options.force === true);
  const days = wholeNumber('--days', options.days, 1, 3650);
  const ips = options.ip.map((text) => ip('--ip', text));
  const leaf = await issueCertificate(authorityOf(pki), { use: options.use, dnsNames: [file], ips, days });
  writeKeyed(leaf, join(pki, `${file}.crt`), join(pki, `${file}.key`));
  const files = [`pki/${file}.crt`, `pki/${file}.key`];
  if (options.json === true) printJson(io, { folder: options.dir, files });
  else io.stdout(`Wrote ${files.join(' and ')} to ${options.dir}; name it in the gateway's configuration.\n`);
}

/** New certificates and keys for all that the CA in DIR/pki has issued there. */
export async function renewCommand(
  folder: string,
  options: { readonly days: string; readonly json?: boolean },
  io: Io,
): Promise<void> {
  const pki = pkiOf(folder);
  const days = wholeNumber('--days', options.days, 1, 3650);
  const authority = authorityOf(pki);
  const renewed: string[] = [];
  for (const file of readdirSync(pki).sort()) {
    const path = join(pki, file);
    if (!file.endsWith('.crt') || file === 'ca.crt') continue;
    const old = readFileSync(path, 'utf8');
    if (!isIssuedBy(old, authority.certificate)) continue;
    writeKeyed(await renewCertificate(authority, old, { days }), path, path.replace(/\.crt$/, '.key'));
    renewed.push(relative(folder, path));
  }
  if (renewed.length === 0)
    throw new CliError(`${pki} has no certificate of its ca.crt; issue one with: voip-sgw certificate NAME`);
  if (options.json === true) printJson(io, { folder, files: renewed });
  else {
    io.stdout(`Renewed with new keys: ${renewed.join(', ')}.\n`);
    io.stdout('Copy each .crt and .key to its gateway and reload it (SIGHUP); calls go on.\n');
  }
}

function pkiOf(folder: string): string {
  const pki = join(folder, 'pki');
  if (existsSync(join(pki, 'ca.crt')) && existsSync(join(pki, 'ca.key'))) return pki;
  throw usageError(
    `${pki} has no ca.crt and ca.key; give the folder "voip-sgw init" wrote, with the CA's key in it`,
  );
}

function authorityOf(pki: string): ReturnType<typeof readKeyed> {
  return readKeyed(join(pki, 'ca.crt'), join(pki, 'ca.key'));
}
