/**
 * The operator's way in: a UNIX socket (mode 0600: who may open it may ask), one JSON document per line each way.
 * A request is any JSON value; the response is `{"ok":true,"value":...}` or `{"ok":false,"error":"..."}`.
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface OperatorServerOptions {
  readonly path: string;
  readonly maxConnections?: number; // default 16
  readonly maxRequestBytes?: number; // default 64 KiB
  /** From connecting (or the last response) to a whole request, and for the handler. Default 10 s. */
  readonly deadlineMs?: number;
}

/** Requests of one connection that may wait for the one before; more end it. */
const MOST_WAITING = 64;

/** May throw or reject: the message goes to the operator. */
export type OperatorHandler = (request: unknown) => unknown;

export class OperatorServer {
  readonly #server: Server;
  readonly #handler: OperatorHandler;
  readonly #maxRequestBytes: number;
  readonly #deadlineMs: number;
  readonly #sockets = new Set<Socket>();

  /**
   * Opens the socket. One left behind by a process that is gone is replaced; rejects where a living process answers
   * on it, or where the path is something else than a socket.
   */
  static async listen(options: OperatorServerOptions, handler: OperatorHandler): Promise<OperatorServer> {
    await removeStale(options.path);
    const server = new OperatorServer(options, handler);
    await server.#open(options.path);
    return server;
  }

  private constructor(options: OperatorServerOptions, handler: OperatorHandler) {
    this.#handler = handler;
    this.#maxRequestBytes = options.maxRequestBytes ?? 65_536;
    this.#deadlineMs = options.deadlineMs ?? 10_000;
    this.#server = createServer((socket) => this.#onConnection(socket));
    this.#server.maxConnections = options.maxConnections ?? 16;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #open(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      // The mask, not only chmod, so that there is no moment at which others may connect.
      const mask = process.umask(0o177);
      try {
        this.#server.listen(path, () => {
          this.#server.off('error', reject);
          // Out of file descriptors at accept: the question is lost, the gateway is not.
          this.#server.on('error', () => undefined);
          chmodSync(path, 0o600);
          resolve();
        });
      } finally {
        process.umask(mask);
      }
    });
  }

  #onConnection(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    let timer = setTimeout(() => socket.destroy(), this.#deadlineMs);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#sockets.delete(socket);
    });
    let chain = Promise.resolve();
    let waiting = 0;
    let ended = false;
    readLines(socket, this.#maxRequestBytes, (line) => {
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(), this.#deadlineMs);
      if (ended) return;
      if (line === undefined || waiting >= MOST_WAITING) {
        const error = line === undefined ? 'request too long' : 'too many requests at once';
        socket.end(`${JSON.stringify({ ok: false, error })}\n`);
        ended = true;
        return;
      }
      // One at a time, in order: what comes meanwhile waits in the kernel.
      socket.pause();
      waiting++;
      chain = chain.then(async () => {
        // Calls have their turn between two questions, and who does not read his answers is asked nothing more.
        if (waiting > 1) await new Promise(setImmediate);
        if (socket.destroyed || ended) return;
        const response = await this.#answer(line);
        waiting--;
        if (socket.destroyed || ended) return;
        if (!socket.write(`${response}\n`)) await drained(socket);
        if (waiting === 0) socket.resume();
      });
    });
  }

  async #answer(line: string): Promise<string> {
    try {
      const request: unknown = JSON.parse(line);
      return JSON.stringify({ ok: true, value: (await this.#handler(request)) ?? null });
    } catch (error) {
      return JSON.stringify({ ok: false, error: error instanceof Error ? error.message : 'failed' });
    }
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

export interface OperatorRequestOptions {
  readonly deadlineMs?: number; // default 10 s
  readonly maxResponseBytes?: number; // default 64 MiB
}

/** One request on a connection of its own. Rejects where nobody listens, the deadline passes, or the answer is an error. */
export function operatorRequest(
  path: string,
  request: unknown,
  options: OperatorRequestOptions = {},
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const timer = setTimeout(
      () => finish(() => reject(new Error('the gateway did not answer in time'))),
      options.deadlineMs ?? 10_000,
    );
    socket.on('error', (error) => finish(() => reject(error)));
    socket.on('end', () => finish(() => reject(new Error('the gateway closed the connection'))));
    readLines(socket, options.maxResponseBytes ?? 64 * 1024 * 1024, (line) => {
      finish(() => {
        const response = line === undefined ? undefined : parsed(line);
        if (response === undefined) reject(new Error('the gateway sent no valid answer'));
        else if (response.ok) resolve(response.value);
        else reject(new Error(response.error));
      });
    });
    socket.write(`${JSON.stringify(request)}\n`);
  });
}

type Response =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: string };

function parsed(line: string): Response | undefined {
  try {
    const value = JSON.parse(line) as Partial<{ ok: unknown; value: unknown; error: unknown }> | null;
    if (value?.ok === true) return { ok: true, value: value.value };
    if (value?.ok === false && typeof value.error === 'string') return { ok: false, error: value.error };
  } catch {
    // falls through: no answer of ours
  }
  return undefined;
}

/** Calls `onLine` for each line, or once with undefined where one is longer than `maxBytes`; then reads no more. */
function readLines(socket: Socket, maxBytes: number, onLine: (line: string | undefined) => void): void {
  let parts: Buffer[] = [];
  let held = 0;
  let over = false;
  socket.on('data', (chunk: Buffer) => {
    let rest = chunk;
    while (!over) {
      const end = rest.indexOf(10);
      const piece = end < 0 ? rest : rest.subarray(0, end);
      held += piece.length;
      if (held > maxBytes) {
        over = true;
        parts = [];
        onLine(undefined);
        return;
      }
      parts.push(piece);
      if (end < 0) return;
      const line = Buffer.concat(parts).toString('utf8');
      parts = [];
      held = 0;
      rest = rest.subarray(end + 1);
      onLine(line);
    }
  });
}

async function removeStale(path: string): Promise<void> {
  let isSocket: boolean;
  try {
    isSocket = lstatSync(path).isSocket();
  } catch {
    return;
  }
  if (!isSocket) throw new Error(`${path} exists and is not a socket`);
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (alive) throw new Error(`a running gateway already listens on ${path}`);
  unlinkSync(path);
}
