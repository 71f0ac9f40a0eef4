/**
 * Lines to a file descriptor without blocking the event loop: what comes while a write is under way is written with the next.
 * A reader that stalls costs bounded memory (then lines are dropped and counted), one that is gone costs nothing. pino's own
 * destination is not used because its synchronous flush never returns once the reader of the pipe is gone.
 */
import { write, writeSync } from 'node:fs';

/** Most characters that wait. */
const MAX_WAITING = 8 * 1024 * 1024;
const RETRY_MS = 20;

export class LineOutput {
  readonly #descriptor: number;
  #waiting: string[] = [];
  #waitingLength = 0;
  #writing = false;
  #gone = false;
  #dropped = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Lines that were not written. */
  get dropped(): number {
    return this.#dropped;
  }

  write(line: string): void {
    if (this.#gone || this.#waitingLength > MAX_WAITING) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingLength += line.length;
    if (!this.#writing) this.#next();
  }

  /** Before a sudden end. A write under way is not waited for: the process does that when it ends by itself. */
  flush(): void {
    if (this.#writing || this.#gone) return;
    try {
      writeSync(this.#descriptor, this.#take());
    } catch {
      // Nobody reads, or not now; there is no later.
    }
  }

  #take(): Buffer {
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#waitingLength = 0;
    return Buffer.from(text, 'utf8');
  }

  #next(): void {
    if (this.#waiting.length === 0) return;
    this.#writing = true;
    this.#write(this.#take());
  }

  #write(chunk: Buffer): void {
    write(this.#descriptor, chunk, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(() => this.#write(chunk), RETRY_MS);
      else if (error === null && written < chunk.length) this.#write(chunk.subarray(written));
      else {
        this.#gone = error?.code === 'EPIPE' || error?.code === 'EBADF';
        this.#writing = false;
        if (!this.#gone) this.#next();
      }
    });
  }
}
