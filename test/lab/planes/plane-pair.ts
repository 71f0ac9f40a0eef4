/** Both gateways' media planes across a WAN: GW2 beside the Internet's phones in namespace A, GW1 in B dials it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { LaneCounters } from '../../../src/media/plane-contract.ts';
import { createAuthority, issueCertificate, type KeyedCertificate } from '../../../src/store/pki.ts';
import type { VoiceWay, Wan } from '../wan.ts';
import { type EndSays, type EndStart, LOCAL_PORT, PHONE_PORT } from './plane-end-messages.ts';

const SCRIPT = fileURLToPath(new URL('./plane-end.js', import.meta.url));
const MEDIA_PORT = 7061;
/** Addresses of a side, within its own namespace. */
const GATEWAY = '127.77.0.1';
const PHONES = '127.77.1.1';

export interface PairOptions {
  readonly calls: number;
  /** Lanes at rest, and at most. */
  readonly lanes: number;
  readonly maxLanes: number;
  readonly congestion: 'bbr' | 'system';
  readonly implementation: 'auto' | 'koffi' | 'dgram';
}

export class PlanePair {
  readonly #ends: PlaneEnd[] = [];

  /** Resolves when every lane and every call is up. */
  async start(wan: Wan, options: PairOptions): Promise<VoiceWay> {
    const authority = await createAuthority('bench');
    const key = randomBytes(32).toString('hex');
    const common = { ...options, key, localIp: GATEWAY, phoneIp: PHONES };
    const gw2 = new PlaneEnd(wan.a.namespace);
    const gw1 = new PlaneEnd(wan.b.namespace);
    this.#ends.push(gw2, gw1);
    const accepts = gw2.start({
      ...common,
      tls: await identity(authority, 'termination', 'gw2.example'),
      peerName: 'gw1.example',
      listen: { ip: wan.a.ip, port: MEDIA_PORT },
    });
    await accepts;
    await gw1.start({
      ...common,
      tls: await identity(authority, 'relay', 'gw1.example'),
      peerName: 'gw2.example',
      dial: { ip: wan.a.ip, port: MEDIA_PORT, lanes: options.lanes },
    });
    const routes = Array.from({ length: options.calls }, (_, i) => ({
      aPort: PHONE_PORT + 2 * i,
      bPort: PHONE_PORT + 2 * i,
      aTarget: LOCAL_PORT + 2 * i,
      bTarget: LOCAL_PORT + 2 * i,
    }));
    return { kind: 'datagrams', aIp: PHONES, bIp: PHONES, aTargetIp: GATEWAY, bTargetIp: GATEWAY, routes };
  }

  /** Of GW1, about a second old. */
  get lanes(): readonly LaneCounters[] {
    return this.#ends[1]?.lanes ?? [];
  }

  /** What each end refused or missed, by reason. */
  async stop(): Promise<readonly Readonly<Record<string, number>>[]> {
    return Promise.all(this.#ends.map((end) => end.stop()));
  }
}

async function identity(authority: KeyedCertificate, use: 'relay' | 'termination', name: string) {
  const made = await issueCertificate(authority, { use, dnsNames: [name] });
  return { certificate: made.certificate, key: made.key, ca: authority.certificate };
}

class PlaneEnd {
  lanes: readonly LaneCounters[] = [];
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;
  #losses: Readonly<Record<string, number>> = {};
  #ready: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(namespace: string) {
    // Before others on this machine: what is measured is the path, not who else computes here.
    const command = ['-r', '1', 'ip', 'netns', 'exec', namespace, process.execPath, SCRIPT];
    this.#child = spawn('chrt', command, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.on('message', (message) => this.#heard(message as EndSays));
    this.#child.once('exit', () => this.#ready?.reject(new Error('a media plane ended')));
  }

  start(options: EndStart): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      this.#ready = { resolve, reject };
    });
    this.#child.send(options);
    return ready;
  }

  async stop(): Promise<Readonly<Record<string, number>>> {
    if (this.#child.connected) this.#child.send('stop');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.#gone;
    clearTimeout(timer);
    return this.#losses;
  }

  #heard(message: EndSays): void {
    if (message.says === 'ready') this.#ready?.resolve();
    else if (message.says === 'failed') this.#ready?.reject(new Error(message.reason));
    else if (message.says === 'lanes') this.lanes = message.lanes;
    else this.#losses = message.losses;
  }
}
