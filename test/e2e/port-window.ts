/** Media ports for gateways under test: files that run at the same time must not take each other's. */
import { createServer, type Server } from 'node:net';

/** The windows of one kind of test, each claimed by a TCP port of its own. All below those that systems hand out (32768 and up). */
export interface PortWindows {
  readonly first: number;
  readonly width: number;
  readonly count: number;
  readonly guard: number;
}

export const PAIR_WINDOWS: PortWindows = { first: 10_000, width: 800, count: 7, guard: 9810 };
export const ATTACK_WINDOWS: PortWindows = { first: 16_000, width: 5300, count: 3, guard: 9800 };

/** Where a pair whose media ports begin at `rtp` listens for H.245, which is TCP: first and last of 100 ports. */
export function h245Ports(rtp: number): readonly [number, number] {
  const { first, width } = PAIR_WINDOWS;
  const at = 27_000 + 100 * Math.floor((rtp - first) / width);
  return [at, at + 99];
}

export interface PortWindow {
  readonly first: number;
  readonly release: () => void;
}

/** A window that nobody else has; where all are taken, any of them. It ends with the process at the latest. */
export async function claimWindow({ first, width, count, guard }: PortWindows): Promise<PortWindow> {
  const start = Math.floor(Math.random() * count);
  for (let i = 0; i < count; i++) {
    const window = (start + i) % count;
    const server = await listening(guard + window);
    if (server !== undefined) return { first: first + window * width, release: () => void server.close() };
  }
  return { first: first + start * width, release: () => undefined };
}

function listening(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      server.unref();
      resolve(server);
    });
  });
}
