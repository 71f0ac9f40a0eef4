/**
 * One gateway's media plane as a process of its own, so that it can live in a network namespace: started by plane-pair.ts with an IPC
 * channel, told what to do in `EndStart`, and ended with it.
 */
import { createServer } from 'node:net';
import type { PlaneEvent, StreamCounters } from '../../../src/media/plane-contract.ts';
import { REFUSALS } from '../../../src/media/plane-contract.ts';
import { PlaneSupervisor } from '../../../src/plane/supervisor.ts';
import { type EndSays, type EndStart, LOCAL_PORT, PHONE_PORT } from './plane-end-messages.ts';
import { BENCH_SESSION, voiceLeg } from './voice-leg.ts';

function say(message: EndSays): void {
  process.send?.(message);
}

class End {
  readonly #plane = new PlaneSupervisor();
  readonly #losses = new Map<string, number>();
  readonly #start: EndStart;
  #opened = 0;
  #lanes = 0;
  #implementation = '';

  constructor(start: EndStart) {
    this.#start = start;
  }

  async run(): Promise<void> {
    const { listen, dial, calls, tls, implementation } = this.#start;
    this.#plane.onEvent = (_shard, event) => this.#event(event);
    await this.#plane.start({ workers: 1, implementation, tls });
    if (listen !== undefined) {
      const server = createServer({ pauseOnConnect: true }, (socket) => this.#plane.acceptLane(socket));
      await new Promise<void>((resolve) => server.listen(listen.port, listen.ip, resolve));
    }
    this.#session();
    this.#plane.command(0, { kind: 'report', every: 1000 });
    for (let i = 0; i < calls; i++) {
      const local = { ip: this.#start.localIp, port: LOCAL_PORT + 2 * i };
      const remote = { ip: this.#start.phoneIp, port: PHONE_PORT + 2 * i };
      this.#plane.command(0, { kind: 'open', leg: voiceLeg(i + 1, local, remote) });
    }
    await this.#until(() => this.#opened === calls);
    if (dial !== undefined) await this.#until(() => this.#lanes >= dial.lanes);
    say({ says: 'ready', implementation: this.#implementation });
  }

  async stop(): Promise<void> {
    await this.#plane.stop();
    say({ says: 'over', losses: Object.fromEntries(this.#losses) });
  }

  #session(): void {
    const { key, peerName, dial, maxLanes, congestion } = this.#start;
    this.#plane.command(0, {
      kind: 'session',
      session: BENCH_SESSION,
      key,
      peerName,
      congestion,
      limits: { maxLanes, maxStreams: 4000, maxBytesPerSecond: 1e9 },
      ...(dial === undefined
        ? {}
        : {
            dial: {
              remote: { ip: dial.ip, port: dial.port },
              serverName: peerName,
              lanes: dial.lanes,
              shard: 0,
            },
          }),
    });
  }

  #event(event: PlaneEvent): void {
    if (event.kind === 'opened') this.#opened++;
    else if (event.kind === 'lane-up') this.#lanes++;
    else if (event.kind === 'ready') this.#implementation = event.implementation;
    else if (event.kind === 'closed') this.#count(event.counters);
    else if (event.kind === 'counters') say({ says: 'lanes', lanes: event.lanes });
    else if (event.kind === 'open-failed') throw new Error(event.reason);
  }

  #count(counters: StreamCounters): void {
    const add = (name: string, by: number): void => {
      if (by > 0) this.#losses.set(name, (this.#losses.get(name) ?? 0) + by);
    };
    counters.refused.forEach((by, i) => {
      add(REFUSALS[i] ?? '?', by);
    });
    add('lost before the gateway', counters.lostIn);
    add('lost in the tunnel', counters.framesLost);
  }

  async #until(check: () => boolean): Promise<void> {
    const end = Date.now() + 15_000;
    while (!check()) {
      if (Date.now() > end) throw new Error('the plane did not get ready');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

let end: End | undefined;
const failed = (error: unknown): void => {
  say({ says: 'failed', reason: error instanceof Error ? error.message : String(error) });
};
process.on('uncaughtException', failed);
process.on('unhandledRejection', failed);
process.on('disconnect', () => process.exit(0));
process.on('message', (message: EndStart | 'stop') => {
  if (message === 'stop') {
    void end?.stop().then(() => process.disconnect());
    return;
  }
  end = new End(message);
  end.run().catch(failed);
});
