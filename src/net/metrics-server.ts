import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Address } from '../machine/address.ts';
import { canonicalAddress, isLoopback } from './ip.ts';
import { listenTcp } from './listen.ts';

export interface MetricsSource {
  /** Prometheus text exposition format. */
  metrics(): string | Promise<string>;
  /** Undefined: well; else what is not. */
  problem(): string | undefined;
}

const MOST_CONNECTIONS = 32;
/** From a request to the last octet of its answer, and for the request itself. */
const DEADLINE_MS = 10_000;

/** `GET /metrics` and `GET /healthz` (200 `ok` or 503 with the problem) on a loopback address; nothing else. */
export class MetricsServer {
  readonly #server: Server;
  /** The oldest first. */
  readonly #sockets = new Set<Socket>();

  /** Rejects where the address is not a loopback one: metrics tell who calls whom how often. */
  static async listen(
    address: Address,
    source: MetricsSource,
    deadlineMs = DEADLINE_MS,
  ): Promise<MetricsServer> {
    if (!isLoopback(address.ip)) throw new Error('metrics are served on loopback addresses only');
    const metrics = new MetricsServer(source, deadlineMs);
    await listenTcp(metrics.#server, address);
    return metrics;
  }

  private constructor(source: MetricsSource, deadlineMs: number) {
    this.#server = createServer(
      {
        maxHeaderSize: 8192,
        requestTimeout: deadlineMs,
        headersTimeout: Math.min(5000, deadlineMs),
        connectionsCheckingInterval: Math.min(1000, deadlineMs),
      },
      (request, response) => {
        request.resume();
        // Who does not read his answer has it no longer.
        const late = setTimeout(() => request.socket.destroy(), deadlineMs);
        response.once('close', () => clearTimeout(late));
        if (request.method !== 'GET' && request.method !== 'HEAD')
          return reply(response, 405, 'method not allowed\n');
        if (request.url === '/healthz') {
          const problem = source.problem();
          return reply(response, problem === undefined ? 200 : 503, `${problem ?? 'ok'}\n`);
        }
        if (request.url !== '/metrics') return reply(response, 404, 'not found\n');
        Promise.resolve()
          .then(() => source.metrics())
          .then(
            (text) => reply(response, 200, text),
            () => reply(response, 500, 'failed\n'),
          );
      },
    );
    this.#server.on('connection', (socket: Socket) => this.#connected(socket));
  }

  get address(): Address {
    const bound = this.#server.address();
    if (bound === null || typeof bound === 'string') throw new Error('not listening');
    return canonicalAddress(bound.address, bound.port);
  }

  /** Whoever holds connections open does not keep the next one out: the oldest goes for it. */
  #connected(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#sockets.size <= MOST_CONNECTIONS) return;
    for (const oldest of this.#sockets) {
      this.#sockets.delete(oldest);
      oldest.destroy();
      break;
    }
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

function reply(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': status === 200 ? 'text/plain; version=0.0.4; charset=utf-8' : 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
  });
  response.end(text);
}
