import type { Socket } from 'node:net';
import { plainBytes } from './providers.ts';

/** What nobody waits for is sent after so long, milliseconds. */
const WAIT_MS = 50;

export interface StreamHandlers {
  onData(bytes: Uint8Array): void;
  /** Exactly once, unless `close` was called here: then never. */
  onClosed(reason: string): void;
}

/**
 * A connected socket (TCP or TLS) with a bound on what waits to be sent: a far end that does not read is cut off, and
 * never makes this process keep its bytes.
 */
export class Stream {
  readonly #socket: Socket;
  readonly #maxQueued: number;
  readonly #handlers: StreamHandlers;
  #reason: string | undefined;
  #done = false;
  #corked = false;
  #leaving = false;
  #patience: NodeJS.Timeout | undefined;
  readonly #uncork = (): void => {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#corked = false;
    this.#leaving = false;
    this.#socket.uncork();
  };

  constructor(socket: Socket, maxQueued: number, handlers: StreamHandlers) {
    this.#socket = socket;
    this.#maxQueued = maxQueued;
    this.#handlers = handlers;
    socket.setNoDelay(true);
    socket.on('data', (buffer: Buffer) => {
      if (!this.#done) handlers.onData(plainBytes(buffer));
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#reason ??= error.code ?? 'error';
    });
    socket.on('end', () => {
      this.#reason ??= 'end';
    });
    socket.on('close', () => this.#closed());
  }

  get closed(): boolean {
    return this.#done;
  }

  /**
   * False where the bytes were not taken: the connection is closed, or was closed now because too much waits. `mayWait`: they leave with
   * what follows, WAIT_MS later at most.
   */
  send(bytes: Uint8Array, mayWait = false): boolean {
    if (this.#done || this.#socket.destroyed || !this.#socket.writable) return false;
    if (this.#socket.writableLength + bytes.length > this.#maxQueued) {
      this.fail('write-queue');
      return false;
    }
    // What one turn of the event loop has to say leaves as one TLS record and one system call.
    if (!this.#corked) this.#socket.cork();
    this.#corked = true;
    if (mayWait) this.#patience ??= setTimeout(this.#uncork, WAIT_MS).unref();
    else if (!this.#leaving) setImmediate(this.#uncork);
    this.#leaving ||= !mayWait;
    this.#socket.write(bytes);
    return true;
  }

  /** Ends the connection for a reason of ours that `onClosed` is to report. */
  fail(reason: string): void {
    this.#reason ??= reason;
    this.#socket.destroy();
  }

  /** Sends what waits, then ends; cut off after a second where the far end does not cooperate. `onClosed` stays silent. */
  close(): void {
    if (this.#done) return;
    this.#done = true;
    const socket = this.#socket;
    socket.end();
    const timer = setTimeout(() => socket.destroy(), 1000);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
    socket.resume();
  }

  #closed(): void {
    if (this.#done) return;
    this.#done = true;
    this.#handlers.onClosed(this.#reason ?? 'closed');
  }
}
