/**
 * The two gateways as real processes in their namespaces: `voip-sgw init`, the lab's peers and routes written into its
 * configurations, the rules that `voip-sgw firewall` prints loaded into both firewalls, and the gateways started.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { CallRecord } from '../../src/call/record.ts';
import { type Lab, tail } from './lab.ts';
import { ask, type CallLine, children, type Status } from './operator.ts';
import { hostPort } from './peers/sipp.ts';
import { type Background, root, run, until } from './run.ts';
import { type Family, host, type Place, replaceFilter, spawnInside } from './topology.ts';

export type Role = 'termination' | 'relay';

export interface PairOptions {
  /** Family of the tunnel's addresses; v4 by default. */
  readonly tunnel?: Family;
  readonly implementation?: 'auto' | 'koffi' | 'dgram';
  readonly workers?: number;
  /** A suite's own peers and routes in place of the usual ones. */
  readonly change?: (role: Role, config: Record<string, unknown>) => Record<string, unknown>;
}

/** Numbers that reach the PBXs and the callee in the intranet from outside: first digit, then the extension. */
export const inward = { pbx4: '4', pbx4Tcp: '5', pbx6: '6', callee: '3' } as const;
/** Numbers that reach the Internet side from inside. */
export const outward = {
  phone: '701',
  phoneTcp: '702',
  phoneTls: '703',
  phone6: '704',
  phone6Tcp: '705',
  callee: '711',
  calleeTcp: '712',
  registered: '799',
} as const;
export const account = { username: 'remote-99', password: 'lab-secret-99', number: '799' } as const;

/** Names that must not be seen where they do not belong. */
export const gatewayName: Readonly<Record<Role, string>> = { termination: 'edge-osaka', relay: 'site-tokyo' };

const COMMAND = join(root, 'bin/voip-sgw.js');
const FILES: Readonly<Record<Role, string>> = { termination: 'termination.yaml', relay: 'relay.yaml' };
const PLACES: Readonly<Record<Role, Place>> = { termination: 'dmz', relay: 'intranet' };
const START_MS = 45_000; // a second on a machine that is free

export class Pair {
  readonly folder: string;
  /** Where both gateways write their TLS secrets, for the captures to be read. */
  readonly keyLog: string;
  readonly #lab: Lab;
  readonly #processes = new Map<Role, Background>();

  private constructor(lab: Lab, folder: string) {
    this.#lab = lab;
    this.folder = folder;
    this.keyLog = join(folder, 'tls-keys.log');
  }

  /** Configures, loads the filters, starts both, waits until the tunnel is up. */
  static async start(lab: Lab, options: PairOptions = {}): Promise<Pair> {
    const pair = new Pair(lab, join(lab.folder, 'pair'));
    const family = options.tunnel ?? 'v4';
    pair.configure(family, options);
    replaceFilter(pair.rules('inner', family));
    replaceFilter(pair.rules('outer', family), 'outer');
    for (const role of ['termination', 'relay'] as const) {
      lab.reports.push(() => pair.report(role));
      pair.launch(role);
    }
    await pair.ready();
    return pair;
  }

  configure(family: Family, options: PairOptions): void {
    const bracket = (ip: string, port: number): string => hostPort(ip, port);
    const changed = options.change ?? ((_role, config) => config);
    this.command('init', this.folder, '--termination-address', host.gw2Inner[family], '--internet', host.gw2.v4,
      '--relay-address', host.gw1.v4, '--pbx', bracket(host.pbx.v4, 5060), '--pbx-media', '10.20.30.0/24', '--domain', 'lab.example',
      '--termination-name', gatewayName.termination, '--relay-name', gatewayName.relay); // biome-ignore format: a command line
    this.#edit('termination', (config) => changed('termination', terminationConfig(config, options)));
    this.#edit('relay', (config) => changed('relay', relayConfig(config, options)));
    this.command('check', this.config('termination'), this.config('relay'));
  }

  config(role: Role): string {
    return join(this.folder, FILES[role]);
  }

  #edit(role: Role, change: (config: Record<string, unknown>) => Record<string, unknown>): void {
    const config = parse(readFileSync(this.config(role), 'utf8')) as Record<string, unknown>;
    writeFileSync(this.config(role), stringify(change(config)), { mode: 0o600 });
  }

  /** What `voip-sgw firewall` prints for one of the firewalls, as nftables reads it. */
  rules(which: 'inner' | 'outer', family: Family): string {
    const role = which === 'outer' ? 'termination' : 'relay';
    const address = which === 'inner' ? ['--relay-address', host.gw1[family]] : [];
    return this.command(
      'firewall',
      '--config',
      this.config(role),
      '--format',
      'nftables',
      `--${which}`,
      ...address,
    );
  }

  /** Runs `voip-sgw ...` to its end. */
  command(...args: string[]): string {
    return run(process.execPath, [COMMAND, ...args]);
  }

  launch(role: Role): void {
    const env = { ...process.env, NODE_OPTIONS: `--enable-source-maps --tls-keylog=${this.keyLog}` };
    const args = [COMMAND, role, '--config', this.config(role)];
    const started = spawnInside(PLACES[role], role, process.execPath, args, { env, cwd: this.folder });
    this.#processes.set(role, started);
  }

  process(role: Role): Background {
    return this.#processes.get(role)!;
  }

  /** The gateway's process and its workers. */
  pids(role: Role): number[] {
    const { pid } = this.process(role);
    return [pid, ...children(pid)];
  }

  /** Until both say that the tunnel is up, with all of its media connections. */
  async ready(ms = START_MS): Promise<void> {
    for (const role of ['termination', 'relay'] as const) {
      await until(`${role}: tunnel up`, ms, async () => {
        if (!this.process(role).running)
          throw new Error(`${role} ended: ${tail(this.process(role).output, 20)}`);
        const status = await this.status(role).catch(() => undefined);
        return status?.tunnels.some((t) => t.state === 'up' && t.lanes >= 2);
      });
    }
  }

  socket(role: Role): string {
    const config = parse(readFileSync(this.config(role), 'utf8')) as { operator: { socket: string } };
    return join(this.folder, config.operator.socket);
  }

  status(role: Role): Promise<Status> {
    return ask(this.socket(role), { command: 'status' }) as Promise<Status>;
  }

  calls(role: Role): Promise<CallLine[]> {
    return ask(this.socket(role), { command: 'calls' }) as Promise<CallLine[]>;
  }

  /** Until neither gateway has a call, or `ms` has passed: then it throws with what is left. */
  async idle(ms = 5000): Promise<void> {
    const left = async (): Promise<string> => {
      const lists = await Promise.all([this.calls('termination'), this.calls('relay')]);
      return lists.every((list) => list.length === 0) ? '' : JSON.stringify(lists);
    };
    const end = performance.now() + ms;
    for (;;) {
      const now = await left();
      if (now === '') return;
      if (performance.now() > end) throw new Error(`calls left after ${ms} ms: ${now}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  /**
   * Until both gateways have sent so many seconds of packets of 20 ms to either end of every call. A test that listens waits for this and
   * not for a time: how late a peer opens its media is the peer's affair.
   */
  async spoken(seconds: number): Promise<void> {
    await until(`${seconds} s of sound sent to both ends`, (seconds + 20) * 1000, async () => {
      const calls = (await Promise.all([this.calls('termination'), this.calls('relay')])).flat();
      const sent = calls.map((call) => Math.max(0, ...call.streams.map((s) => s.packetsOut)));
      return calls.length >= 2 && sent.every((packets) => packets >= 50 * seconds);
    });
  }

  /** The records of the calls that have ended, oldest first. */
  records(role: Role): CallRecord[] {
    const file = join(this.folder, 'cdr', `${gatewayName[role]}.jsonl`);
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
    return lines.map((line) => JSON.parse(line) as CallRecord);
  }

  report(role: Role): string {
    const process = this.#processes.get(role);
    const state =
      process === undefined ? 'not started' : process.running ? 'running' : `ended with ${process.code}`;
    return `${role} (${state}):\n${tail(process?.output ?? '', 40)}`;
  }

  /** SIGTERM to both; the exit codes. */
  async stop(): Promise<Record<Role, number>> {
    const [termination, relay] = await Promise.all(
      (['termination', 'relay'] as const).map((role) => this.process(role).stop('SIGTERM', 8000)),
    );
    return { termination: termination!, relay: relay! };
  }

  get lab(): Lab {
    return this.#lab;
  }
}

const INTERNET = ['198.51.100.0/24', '2001:db8:64::/64'];
const INTRANET = ['10.20.30.0/24', 'fd20:30::/64'];
const LIMITS = { maxCallsPerSecond: 200, maxCallsPerSecondPerSource: 100 };

function peer(name: string, ip: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { name, host: ip, port: 5060, probeSeconds: 0, mediaNetworks: INTERNET, ...more };
}

function listeners(v4: string, v6: string, tls?: Record<string, unknown>): Record<string, unknown>[] {
  const all: Record<string, unknown>[] = [];
  for (const [family, ip] of [
    ['v4', v4],
    ['v6', v6],
  ] as const) {
    for (const transport of ['udp', 'tcp'])
      all.push({ name: `${transport}-${family}`, transport, address: hostPort(ip, 5060) });
    if (tls !== undefined)
      all.push({ name: `tls-${family}`, transport: 'tls', address: hostPort(ip, 5061), ...tls });
  }
  return all;
}

function media(
  config: Record<string, unknown>,
  ips: readonly string[],
  options: PairOptions,
): Record<string, unknown> {
  return {
    ...(config['media'] as object),
    pools: ips.map((ip) => ({ ip, ports: [16384, 17407] })),
    ...(options.implementation === undefined ? {} : { implementation: options.implementation }),
    ...(options.workers === undefined ? {} : { workers: options.workers }),
  };
}

function terminationConfig(config: Record<string, unknown>, options: PairOptions): Record<string, unknown> {
  const out = (match: string, to: string): Record<string, unknown> => ({
    name: `out-${match}`,
    from: 'tunnel',
    match,
    to,
  });
  return {
    ...config,
    sip: {
      ...(config['sip'] as object),
      listeners: listeners(host.gw2.v4, host.gw2.v6, {
        certificate: `pki/${gatewayName.termination}-sip.crt`,
        key: `pki/${gatewayName.termination}-sip.key`,
      }),
    },
    media: media(config, [host.gw2.v4, host.gw2.v6], options),
    peers: [
      peer('phone', host.phone.v4, { transport: 'udp' }),
      peer('phone-tcp', host.phone.v4, { transport: 'tcp' }),
      peer('phone-tls', host.phone.v4, { transport: 'tls', port: 5061 }),
      peer('phone6', host.phone.v6, { transport: 'udp' }),
      peer('phone6-tcp', host.phone.v6, { transport: 'tcp' }),
      peer('callee', host.callee.v4, { transport: 'udp' }),
      peer('callee-tcp', host.callee.v4, { transport: 'tcp' }),
      {
        name: 'callers',
        sources: [`${host.caller.v4}/32`, `${host.caller.v6}/128`],
        mediaNetworks: INTERNET,
      },
      {
        name: 'users',
        sources: [`${host.digest.v4}/32`],
        authenticate: 'digest',
        challenges: ['MD5'], // libre 1.x and SIPp give up where SHA-256 is offered
        mediaNetworks: INTERNET,
        symmetric: 'latch',
      },
    ],
    routes: [
      { name: 'in', from: 'peers', match: '*', to: 'tunnel' },
      out(outward.phone, 'peer:phone'),
      out(outward.phoneTcp, 'peer:phone-tcp'),
      out(outward.phoneTls, 'peer:phone-tls'),
      out(outward.phone6, 'peer:phone6'),
      out(outward.phone6Tcp, 'peer:phone6-tcp'),
      out(outward.callee, 'peer:callee'),
      out(outward.calleeTcp, 'peer:callee-tcp'),
      out(outward.registered, 'registered'),
    ],
    limits: LIMITS,
  };
}

function relayConfig(config: Record<string, unknown>, options: PairOptions): Record<string, unknown> {
  const into = (digit: string, name: string): Record<string, unknown> => ({
    name: `to-${name}`,
    from: 'tunnel',
    match: `${digit}.`,
    to: `peer:${name}`,
    strip: 1,
  });
  const inside = { mediaNetworks: INTRANET, trusted: true };
  return {
    ...config,
    sip: { ...(config['sip'] as object), listeners: listeners(host.gw1.v4, host.gw1.v6) },
    media: media(config, [host.gw1.v4, host.gw1.v6], options),
    peers: [
      peer('pbx4', host.pbx.v4, { ...inside, transport: 'udp' }),
      peer('pbx4-tcp', host.pbx.v4, { ...inside, transport: 'tcp' }),
      peer('pbx6', host.pbx.v6, { ...inside, transport: 'udp' }),
      peer('callee', host.intranetCallee.v4, { ...inside, trusted: false, transport: 'udp' }),
      { name: 'callers', sources: [`${host.intranetCaller.v4}/32`], mediaNetworks: INTRANET },
    ],
    accounts: [account],
    routes: [
      into(inward.pbx4, 'pbx4'),
      into(inward.pbx4Tcp, 'pbx4-tcp'),
      into(inward.pbx6, 'pbx6'),
      into(inward.callee, 'callee'),
      { name: 'out', from: 'peers', match: '7.', to: 'tunnel' },
    ],
    limits: LIMITS,
  };
}
