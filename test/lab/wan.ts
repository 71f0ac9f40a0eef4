/**
 * A WAN between two network namespaces, on kernels without netem: c/wan-link.c moves packets between two TUN devices and
 * delays or loses them. And `voice`: telephones on both sides that tell what became of every packet.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root, run, succeeds } from './run.ts';

const SOURCES = join(root, 'test/lab/c');
/** Room for what a tunnel below adds; also where a small path MTU shows. */
const MTU = 1400;

export interface WanOptions {
  /** One way. */
  readonly delayMs: number;
  /** Up to so much more, evenly spread; order is kept. */
  readonly jitterMs?: number;
  /** Each packet by itself. */
  readonly lossPercent?: number;
  /** Gilbert's model, per packet: everything is lost in the bad state. */
  readonly burst?: { readonly enterPercent: number; readonly leavePercent: number };
  /** Each way. */
  readonly rateKbit?: number;
  /** What would wait longer for the rate is dropped; 1000 by default. */
  readonly queueMs?: number;
  /** From the first `everyMs` on, everything is lost for `lengthMs` in each period. */
  readonly outage?: { readonly everyMs: number; readonly lengthMs: number };
  readonly seed?: number;
  /** TCP's congestion control on this link, where a connection asks for no other; undefined: the system's. */
  readonly congestion?: 'cubic';
}

/** One direction. Octets are those of IP packets. */
export interface WayStatistics {
  readonly in: number;
  readonly inOctets: number;
  readonly out: number;
  readonly outOctets: number;
  readonly lost: number;
  readonly lostInBurst: number;
  readonly lostInOutage: number;
  readonly lostInQueue: number;
  /** How much later than meant packets were delivered: the emulator's own error. */
  readonly behindMeanUs: number;
  readonly behindMaxUs: number;
}

export interface WanStatistics {
  /** From A to B, from B to A. */
  readonly ways: readonly [WayStatistics, WayStatistics];
}

/** What is missing here for an emulated WAN; undefined: nothing. */
export function wanMissing(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux';
  if (!succeeds('cc', ['--version'])) return 'needs a C compiler (cc)';
  if (!succeeds('ip', ['-V'])) return 'needs ip (iproute2)';
  if (!succeeds('test', ['-c', '/dev/net/tun'])) return 'needs /dev/net/tun';
  return undefined;
}

/** Compiled programs in a folder of their own, gone with `remove`. */
export class WanTools {
  readonly folder = mkdtempSync(join(tmpdir(), 'voip-sgw-wan-'));
  readonly wanLink = this.#compile('wan-link');
  readonly voice = this.#compile('voice');

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #compile(name: string): string {
    const out = join(this.folder, name);
    run('cc', ['-O2', '-o', out, join(SOURCES, `${name}.c`)]);
    return out;
  }
}

/** Two namespaces, A and B, and the link between them. */
export class Wan {
  readonly a: { readonly namespace: string; readonly ip: string };
  readonly b: { readonly namespace: string; readonly ip: string };
  /** CLOCK_MONOTONIC in seconds: outages count from here. */
  readyAt = 0;
  #link: ChildProcess | undefined;
  #told: ((statistics: WanStatistics) => void)[] = [];

  private constructor(name: string) {
    this.a = { namespace: `${name}-a`, ip: '10.77.0.1' };
    this.b = { namespace: `${name}-b`, ip: '10.77.0.2' };
  }

  /** Names are unique to this process. */
  static async start(tools: WanTools, options: WanOptions): Promise<Wan> {
    const wan = new Wan(`vsgw-wan${process.pid}`);
    wan.#removeNamespaces();
    try {
      for (const side of [wan.a, wan.b]) {
        run('ip', ['netns', 'add', side.namespace]);
        inNamespace(side.namespace, ['ip', 'link', 'set', 'lo', 'up']);
        // What one connection learned of the path is not told to the next: every run begins alike.
        inNamespace(side.namespace, ['sysctl', '-qw', 'net.ipv4.tcp_no_metrics_save=1']);
      }
      await wan.#startLink(tools.wanLink, options);
    } catch (error) {
      await wan.stop();
      throw error;
    }
    return wan;
  }

  async statistics(): Promise<WanStatistics> {
    const answer = new Promise<WanStatistics>((resolve) => this.#told.push(resolve));
    this.#link?.kill('SIGUSR1');
    return answer;
  }

  /** Ends the link and removes the namespaces; what still runs in them loses its network, not its life. */
  async stop(): Promise<WanStatistics | undefined> {
    const link = this.#link;
    let last: WanStatistics | undefined;
    if (link !== undefined && link.exitCode === null && link.signalCode === null) {
      const gone = new Promise((resolve) => link.once('close', resolve));
      this.#told.push((statistics) => {
        last = statistics;
      });
      link.kill('SIGTERM');
      await gone;
    }
    this.#link = undefined;
    this.#removeNamespaces();
    return last;
  }

  async #startLink(binary: string, options: WanOptions): Promise<void> {
    const devices = [`wa${process.pid}`, `wb${process.pid}`] as const;
    const link = spawn(binary, [...devices, ...linkArguments(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#link = link;
    await new Promise<void>((resolve, reject) => {
      link.once('exit', (code) => reject(new Error(`wan-link ended with ${code}`)));
      createInterface({ input: link.stdout }).on('line', (line) => {
        if (!line.startsWith('ready ')) {
          this.#told.shift()?.(JSON.parse(line) as WanStatistics);
          return;
        }
        this.readyAt = Number(line.slice(6));
        resolve();
      });
    });
    for (const [side, far, device] of [
      [this.a, this.b, devices[0]],
      [this.b, this.a, devices[1]],
    ] as const) {
      run('ip', ['link', 'set', device, 'netns', side.namespace]);
      inNamespace(side.namespace, ['ip', 'address', 'add', side.ip, 'peer', far.ip, 'dev', device]);
      const up = ['mtu', String(MTU), 'txqueuelen', '5000', 'up'];
      inNamespace(side.namespace, ['ip', 'link', 'set', device, ...up]);
      if (options.congestion === undefined) continue;
      // By the route, which needs no permission of the whole machine as a namespace's default does. A socket may still choose another.
      const route = [`${far.ip}/32`, 'dev', device, 'src', side.ip, 'congctl', options.congestion];
      inNamespace(side.namespace, ['ip', 'route', 'replace', ...route]);
    }
  }

  #removeNamespaces(): void {
    for (const side of [this.a, this.b]) succeeds('ip', ['netns', 'del', side.namespace]);
  }
}

function linkArguments(options: WanOptions): string[] {
  const values: Record<string, number | undefined> = {
    delay: options.delayMs,
    jitter: options.jitterMs,
    loss: options.lossPercent,
    enter: options.burst?.enterPercent,
    leave: options.burst?.leavePercent,
    rate: options.rateKbit,
    queue: options.queueMs,
    every: options.outage?.everyMs,
    outage: options.outage?.lengthMs,
    seed: options.seed,
  };
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
}

/** Runs a short program inside a namespace; throws where it fails. */
export function inNamespace(namespace: string, command: readonly string[]): string {
  return run('ip', ['netns', 'exec', namespace, ...command]);
}

// ---- telephones ----

/** Where the phones of one call are, and where they send to. */
export interface VoiceRoute {
  readonly aPort: number;
  readonly bPort: number;
  readonly aTarget: number;
  readonly bTarget: number;
}

/** What carries the calls: something that takes datagrams at both sides, or one byte stream. */
export type VoiceWay =
  | {
      readonly kind: 'datagrams';
      readonly aIp: string;
      readonly bIp: string;
      readonly aTargetIp: string;
      readonly bTargetIp: string;
      readonly routes: readonly VoiceRoute[];
    }
  | {
      readonly kind: 'stream';
      readonly calls: number;
      readonly connectPort: number;
      readonly listenPort: number;
    };

export interface VoiceRun {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** At the begin and the end of the measured time; CLOCK_MONOTONIC in seconds. */
  readonly window?: (at: number) => void;
  readonly over?: (at: number) => void;
}

/** What became of the packets that were sent in the window, sorted by nothing. */
export class VoiceResult {
  /** CLOCK_MONOTONIC in seconds when the window began. */
  readonly from: number;
  readonly sent: number;
  readonly lost: number;
  readonly medianMs: number;
  readonly #records: Float64Array;
  readonly #delays: Float64Array;

  constructor(from: number, records: Float64Array) {
    this.from = from;
    this.#records = records;
    this.sent = records.length / 3;
    const delays: number[] = [];
    for (let i = 1; i < records.length; i += 3) if (records[i]! >= 0) delays.push(records[i]!);
    this.#delays = Float64Array.from(delays).sort();
    this.lost = this.sent - delays.length;
    this.medianMs = this.percentileMs(0.5);
  }

  /** Of those that arrived; -1 where none did. */
  percentileMs(share: number): number {
    const at = Math.min(this.#delays.length - 1, Math.floor(share * this.#delays.length));
    return this.#delays[at] ?? -1;
  }

  /** Share of all packets sent, 0 .. 1, lost or arriving more than `ms` after the median. */
  lateOrLost(ms: number): number {
    const limit = this.medianMs + ms;
    let late = 0;
    for (let i = this.#delays.length - 1; i >= 0 && this.#delays[i]! > limit; i--) late++;
    return this.sent === 0 ? 1 : (late + this.lost) / this.sent;
  }

  /** Packets sent at or after `from` (seconds since the window's begin), before `to`. `delayMs` -1: lost. */
  *between(from: number, to: number): Generator<{ sentAt: number; delayMs: number; sender: number }> {
    const r = this.#records;
    for (let i = 0; i < r.length; i += 3) {
      if (r[i]! >= from && r[i]! < to) yield { sentAt: r[i]!, delayMs: r[i + 1]!, sender: r[i + 2]! };
    }
  }
}

/** Speaks for a while. Rejects where the program fails. */
export async function speak(
  tools: WanTools,
  wan: Wan,
  way: VoiceWay,
  options: VoiceRun,
): Promise<VoiceResult> {
  const file = join(tools.folder, 'voice.out');
  const args = [file, options.seconds, options.warmUpSeconds, wan.a.namespace, wan.b.namespace].map(String);
  if (way.kind === 'stream') {
    args.push('stream', String(way.calls), String(way.connectPort), String(way.listenPort));
  } else {
    const routes = join(tools.folder, 'routes');
    const lines = way.routes.map((r) => `${r.aPort} ${r.bPort} ${r.aTarget} ${r.bTarget}\n`);
    writeFileSync(routes, lines.join(''));
    args.push(routes, way.aIp, way.bIp, way.aTargetIp, way.bTargetIp);
  }
  const child = spawn(tools.voice, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  let from = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, at] = line.split(' ');
    if (word === 'window') {
      from = Number(at);
      options.window?.(from);
    } else {
      options.over?.(Number(at));
    }
  }
  const code = await ended;
  if (code !== 0) throw new Error(`voice ended with ${code}`);
  const bytes = readFileSync(file);
  return new VoiceResult(
    from,
    new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)),
  );
}

/** Calls straight across the link: what UDP does there. */
export function straightCalls(wan: Wan, calls: number): VoiceWay {
  const routes = Array.from({ length: calls }, (_, i) => {
    const port = 30_000 + 2 * i;
    return { aPort: port, bPort: port, aTarget: port, bTarget: port };
  });
  return {
    kind: 'datagrams',
    aIp: wan.a.ip,
    bIp: wan.b.ip,
    aTargetIp: wan.b.ip,
    bTargetIp: wan.a.ip,
    routes,
  };
}
