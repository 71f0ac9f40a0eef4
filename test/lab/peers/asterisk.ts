/**
 * Asterisk 22 as the enterprise's PBX: one instance per address, from the chroot of install.ts, in a private mount
 * namespace where /mnt is the instance's folder (nothing is written into the chroot), with its own host name.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import type { Installed } from '../install.ts';
import { type Background, run, source, until } from '../run.ts';
import { type Place, spawnInside } from '../topology.ts';

export interface AsteriskOptions {
  readonly installed: Installed;
  readonly folder: string;
  readonly place: Place;
  readonly name: string;
  readonly ip: string;
  /** Where `8N` and `PJSIP/N@trunk` go: host:port[;transport=tcp]. */
  readonly trunk: string;
  readonly sipPort?: number;
  readonly tlsPort?: number;
  readonly codecs?: string;
  /** Hz of the tone extensions. */
  readonly tone?: number;
  readonly userAgent?: string;
  readonly sdpOwner?: string;
  readonly sdpSession?: string;
  readonly hostname?: string;
  readonly fromUser?: string;
  readonly rtpPorts?: readonly [number, number];
  /** H.323 too (chan_ooh323): the one address calls go to and are taken from. */
  readonly h323?: H323Options;
  /** T.38 for faxes; else they are sound. */
  readonly t38?: boolean;
  /** Logs warnings only, for measurements. */
  readonly quiet?: boolean;
}

export interface H323Options {
  readonly peer: string;
  /** How digits are sent; rfc2833 breaks its RTP. */
  readonly dtmf?: 'h245signal' | 'h245alphanumeric' | 'q931keypad';
  /** Address of a gatekeeper to register at, and the number to register. */
  readonly gatekeeper?: string;
  readonly number?: string;
  /** 1 to 6: log/h323_log. */
  readonly trace?: number;
}

const PATIENCE_MS = 20_000;

export class Asterisk {
  readonly folder: string;
  readonly options: AsteriskOptions;
  #process: Background;

  private constructor(options: AsteriskOptions) {
    this.options = options;
    this.folder = options.folder;
    this.#process = launch(options);
  }

  static async start(options: AsteriskOptions): Promise<Asterisk> {
    prepare(options);
    const asterisk = new Asterisk(options);
    await asterisk.#boot();
    return asterisk;
  }

  get running(): boolean {
    return this.#process.running;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /**
   * Starts it again where it ended by itself, with its logs and recordings kept. Returns how it ended, undefined where it is well.
   * chan_ooh323 dies now and then of a terminal capability set after a hold (SIGSEGV in its list of joint capabilities, which two of its
   * threads use), mostly on machines that stand still for a while.
   */
  async revive(): Promise<string | undefined> {
    const { running, signal, code } = this.#process;
    if (running) return undefined;
    rmSync(join(this.folder, 'run'), { recursive: true, force: true });
    mkdirSync(join(this.folder, 'run'));
    this.#process = launch(this.options);
    await this.#boot();
    return `asterisk ${this.options.name} ended by itself, ${signal ?? `exit ${code}`}`;
  }

  async #boot(): Promise<void> {
    const name = this.options.name;
    await until(`asterisk ${name} booted`, PATIENCE_MS, () => {
      if (!this.running) throw new Error(`asterisk ${name} ended: ${this.#process.output}`);
      return existsSync(join(this.folder, 'run/asterisk.ctl')) && this.#booted();
    });
  }

  #booted(): boolean {
    try {
      return (
        /Running/.test(this.cli('module show like chan_pjsip')) && this.cli('core waitfullybooted') !== ''
      );
    } catch {
      return false; // the control socket exists before somebody listens on it
    }
  }

  /** A line of Asterisk's console; its answer. */
  cli(command: string): string {
    return run('nsenter', [
      '-t', String(this.pid), '--mount', '--net', 'chroot', this.options.installed.chroot,
      '/usr/sbin/asterisk', '-C', '/mnt/etc/asterisk.conf', '-rx', command,
    ]); // biome-ignore format: command line
  }

  /** Calls `number` through the trunk and joins it with an extension of [legs]. */
  call(number: string, leg: string): void {
    this.cli(`channel originate PJSIP/${number}@trunk extension ${leg}@legs`);
  }

  /** A channel as Asterisk names it, such as OOH323/N@fast-tunnel, joined with an extension of [legs]. */
  originate(channel: string, leg: string): void {
    this.cli(`channel originate ${channel} extension ${leg}@legs`);
  }

  /** As `dial`, by H.323 in one of the manners of ooh323.conf. */
  dialH323(number: string, manner: string): void {
    this.cli(`dialplan set global MANNER ${manner}`);
    this.cli(`channel originate Local/hdial${number}@legs extension hold@legs`);
  }

  /** Dials `number` by the dialplan, so that the cause it ends with is written down; see `cause`. */
  dial(number: string): void {
    this.cli(`channel originate Local/dial${number}@legs extension hold@legs`);
  }

  /** The Q.850 cause the last `dial` of this number ended with. */
  cause(number: string): number | undefined {
    const found = [...this.log('causes.txt').matchAll(/(\d+)=(\d+);/g)].filter((m) => m[1] === number).at(-1);
    return found === undefined ? undefined : Number(found[2]);
  }

  channels(): number {
    return Number(/(\d+) active channels?/.exec(this.cli('core show channels count'))?.[1] ?? Number.NaN);
  }

  hangupAll(): void {
    this.cli('channel request hangup all');
  }

  log(file: 'full' | 'dtmf.txt' | 'causes.txt' | 'fax.txt' | 'h323_log'): string {
    const path = join(this.folder, 'log', file);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** Recordings of what the PBX heard, oldest first. */
  recordings(): string[] {
    return readdirSync(join(this.folder, 'rec'))
      .filter((file) => file.endsWith('-in.wav'))
      .sort()
      .map((file) => join(this.folder, 'rec', file));
  }

  /** How the faxes ended, oldest first: mode, status, pages, bit rate, error. */
  faxes(): string[] {
    return this.log('fax.txt').split(';').slice(0, -1);
  }

  /** Pages received, oldest first. */
  pages(): string[] {
    return readdirSync(join(this.folder, 'rec'))
      .filter((file) => file.endsWith('.tif'))
      .sort()
      .map((file) => join(this.folder, 'rec', file));
  }

  async stop(): Promise<void> {
    await this.#process.stop('SIGTERM', 3000);
  }
}

function launch(options: AsteriskOptions): Background {
  const script =
    'mount --bind "$1" "$2/mnt"; mountpoint -q "$2/proc" || mount -t proc proc "$2/proc"; hostname "$3"; exec chroot "$2" /usr/sbin/asterisk -f -C /mnt/etc/asterisk.conf';
  const hostname = options.hostname ?? `pbx-${options.name}`;
  return spawnInside(options.place, `asterisk ${options.name}`, 'unshare', [
    '--mount', '--uts', '--propagation', 'private', 'bash', '-c', script, 'pbx',
    options.folder, options.installed.chroot, hostname,
  ]); // biome-ignore format: command line
}

function prepare(o: AsteriskOptions): void {
  rmSync(o.folder, { recursive: true, force: true });
  for (const part of ['etc', 'run', 'log', 'spool', 'rec', 'lib'])
    mkdirSync(join(o.folder, part), { recursive: true });
  const [first, last] = o.rtpPorts ?? [20_000, 20_999];
  const values: Record<string, string> = {
    MODULES: o.installed.moduleFolder,
    NAME: o.name,
    TONE: String(o.tone ?? 440),
    BIND: isIPv6(o.ip) ? `[${o.ip}]` : o.ip,
    IP: o.ip,
    IPV6: isIPv6(o.ip) ? 'yes' : 'no',
    SIP_PORT: String(o.sipPort ?? 5060),
    TLS_PORT: String(o.tlsPort ?? 5061),
    CODECS: o.codecs ?? 'ulaw,alaw',
    USER_AGENT: o.userAgent ?? 'Asterisk PBX',
    SDP_OWNER: o.sdpOwner ?? '-',
    SDP_SESSION: o.sdpSession ?? 'Asterisk',
    HOSTNAME: o.hostname ?? `pbx-${o.name}`,
    FROM_USER: o.fromUser ?? '2001',
    TRUNK: o.trunk,
    VERBOSE: o.quiet ? '0' : '4',
    LOG: o.quiet ? 'warning,error' : 'notice,warning,error,verbose(4),dtmf',
    H323_MODULE: o.h323 === undefined ? '; no chan_ooh323' : 'load = chan_ooh323.so',
    H323_PEER: o.h323?.peer ?? '127.0.0.1',
    H323_DTMF: o.h323?.dtmf ?? 'h245signal',
    H323_TRACE: String(o.h323?.trace ?? 0),
    GATEKEEPER: o.h323?.gatekeeper ?? 'DISABLE',
    E164: o.h323?.number ?? '100',
    T38: o.t38 ? 'yes' : 'no',
    SENDFAX: o.t38 ? 'zf' : 'F',
    RTP_FIRST: String(first),
    RTP_LAST: String(last),
  };
  const templates = join(source, 'asterisk');
  for (const file of readdirSync(templates).filter((f) => f.endsWith('.conf'))) {
    const text = readFileSync(join(templates, file), 'utf8').replace(
      /@([A-Z_0-9]+)@/g,
      (_all, key: string) => {
        const value = values[key];
        if (value === undefined) throw new Error(`${file}: no value for @${key}@`);
        return value;
      },
    );
    writeFileSync(join(o.folder, 'etc', file), text);
  }
  for (const empty of ['acl', 'ccss', 'cdr', 'cel', 'features', 'pjproject', 'udptl', 'res_fax']) {
    writeFileSync(join(o.folder, 'etc', `${empty}.conf`), '[general]\n');
  }
  certificate(join(o.folder, 'etc'), o.ip);
}

/** A self-signed certificate for the PBX's address: good enough for SIP over TLS inside the intranet. */
export function certificate(folder: string, ip: string): void {
  run('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=lab',
    '-addext', `subjectAltName=IP:${ip}`, '-keyout', join(folder, 'tls.key'), '-out', join(folder, 'tls.crt'),
  ]); // biome-ignore format: command line
  cpSync(join(folder, 'tls.crt'), join(folder, 'ca.crt'));
}
