/**
 * What the lab needs from Debian: programs of this release with apt-get, and an Asterisk 22 of Debian sid in a chroot
 * outside the repository. Both are made once. Needs root. `node dist/test/lab/install.js` does it by hand.
 */
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { run, succeeds } from './run.ts';

export const cacheFolder = process.env['VOIP_SGW_LAB_CACHE'] ?? '/var/cache/voip-sgw-lab';
export const chroot = process.env['VOIP_SGW_LAB_CHROOT'] ?? `${cacheFolder}/sid`;

/** Program that must be found, and the package that has it. */
const PROGRAMS: readonly (readonly [string, string])[] = [
  ['debootstrap', 'debootstrap'],
  ['sipp', 'sip-tester'],
  ['tshark', 'tshark'],
  ['dumpcap', 'tshark'],
  ['baresip', 'baresip-core'],
  ['sox', 'sox'],
  ['nft', 'nftables'],
  ['ip', 'iproute2'],
  ['tiffcp', 'libtiff-tools'],
  ['gcc', 'gcc'],
  ['openssl', 'openssl'],
];
const BENCH_PROGRAMS: readonly (readonly [string, string])[] = [['rtpengine', 'rtpengine-daemon']];

const POLICY = '/usr/sbin/policy-rc.d';

export interface Installed {
  readonly chroot: string;
  /** Asterisk's modules, as seen inside the chroot. */
  readonly moduleFolder: string;
}

/** Installs what is missing. `bench`: also what only benches need. */
export function install(options: { readonly bench?: boolean } = {}): Installed {
  if (process.getuid?.() !== 0) throw new Error('the lab needs root: network namespaces and a packet filter');
  const wanted = options.bench ? [...PROGRAMS, ...BENCH_PROGRAMS] : PROGRAMS;
  const missing = [...new Set(wanted.filter(([program]) => !has(program)).map(([, name]) => name))];
  if (missing.length > 0) aptInstall(missing);
  return { chroot, moduleFolder: modules() ?? makeChroot() };
}

function has(program: string): boolean {
  return succeeds('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v "${program}"`]);
}

function aptInstall(packages: readonly string[]): void {
  console.error(`lab: installing ${packages.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  withoutDaemons(() => {
    const install = ['apt-get', 'install', '-y', '-q', '--no-install-recommends', ...packages];
    const line = `export DEBIAN_FRONTEND=${env.DEBIAN_FRONTEND}; ${install.join(' ')}`;
    if (!succeeds('sh', ['-c', line])) run('sh', ['-c', `apt-get update -q && ${line}`]);
  });
}

/** invoke-rc.d asks policy-rc.d before it starts a daemon: 101 means no. What stood there before is put back. */
function withoutDaemons(action: () => void): void {
  const kept = existsSync(POLICY) ? `${POLICY}.voip-sgw-lab` : undefined;
  if (kept !== undefined) renameSync(POLICY, kept);
  writeFileSync(POLICY, '#!/bin/sh\nexit 101\n');
  chmodSync(POLICY, 0o755);
  try {
    action();
  } finally {
    rmSync(POLICY);
    if (kept !== undefined) renameSync(kept, POLICY);
  }
}

/** Where chan_pjsip and chan_ooh323 are inside the chroot; undefined where the chroot is not complete. */
function modules(): string | undefined {
  for (const folder of [
    '/usr/lib/x86_64-linux-gnu/asterisk/modules',
    '/usr/lib/aarch64-linux-gnu/asterisk/modules',
    '/usr/lib/asterisk/modules',
  ]) {
    if (existsSync(`${chroot}${folder}/chan_pjsip.so`) && existsSync(`${chroot}${folder}/chan_ooh323.so`))
      return folder;
  }
  return undefined;
}

/** About a minute and 500 MB. Made beside its place and renamed: a half chroot is never taken for a whole one. */
function makeChroot(): string {
  console.error(`lab: making the Asterisk chroot in ${chroot} (a minute)`);
  const fresh = `${chroot}.new`;
  mkdirSync(dirname(chroot), { recursive: true });
  rmSync(fresh, { recursive: true, force: true });
  const packages = 'asterisk,asterisk-ooh323,asterisk-core-sounds-en-gsm';
  run('debootstrap', ['--variant=minbase', `--include=${packages}`, 'sid', fresh, ...mirror()]);
  rmSync(chroot, { recursive: true, force: true });
  renameSync(fresh, chroot);
  const folder = modules();
  if (folder === undefined) throw new Error(`${chroot}: no chan_pjsip and chan_ooh323 in it`);
  return folder;
}

/** This machine's own Debian mirror; none: debootstrap's default. */
function mirror(): string[] {
  const listed = run('apt-get', ['indextargets', '--format', '$(SITE)', 'Created-By: Packages']).split('\n');
  const found = listed.find((site) => /\/debian\/?$/.test(site.trim()));
  return found === undefined ? [] : [found.trim()];
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const result = install({ bench: process.argv.includes('--bench') });
  console.log(`lab: Asterisk modules ${result.moduleFolder} in ${result.chroot}`);
}
