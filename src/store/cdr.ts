/**
 * Call records as JSON lines: appended in batches, each batch synchronised to the disk. A call never waits for its record and
 * never ends because of it: what cannot be written is kept (bounded), retried, and counted.
 */
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface CdrStatistics {
  readonly written: number;
  /** Batches that failed (disk full, file gone); their records were kept. */
  readonly failures: number;
  /** Records lost because more than `maxWaiting` waited. */
  readonly dropped: number;
  readonly waiting: number;
}

export interface CdrOptions {
  readonly file: string;
  /** Called once per failed batch and once per dropped record. */
  readonly onError?: (message: string) => void;
  /** Milliseconds a record waits for company; default 100. */
  readonly batchMs?: number;
  /** Milliseconds before a failed batch is tried again; default 2000. */
  readonly retryMs?: number;
  /** Most records in memory; default 10 000. The oldest is dropped. */
  readonly maxWaiting?: number;
}

export class CdrWriter {
  readonly #options: CdrOptions;
  readonly #waiting: string[] = [];
  #handle: FileHandle | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #reopen = false;
  #closed = false;
  #written = 0;
  #failures = 0;
  #dropped = 0;

  constructor(options: CdrOptions) {
    this.#options = options;
  }

  get statistics(): CdrStatistics {
    return {
      written: this.#written,
      failures: this.#failures,
      dropped: this.#dropped,
      waiting: this.#waiting.length,
    };
  }

  /** Opens the file now, so that a path that cannot be written is told at the start and not with the first call. */
  async open(): Promise<void> {
    try {
      this.#handle ??= await openForAppend(this.#options.file);
    } catch (error) {
      this.#failures++;
      this.#failed(error as Error);
    }
  }

  /** Takes the record and returns at once. Never throws. */
  append(record: object): void {
    if (this.#waiting.length >= (this.#options.maxWaiting ?? 10_000)) {
      this.#waiting.shift();
      this.#dropped++;
      this.#options.onError?.(`too many call records wait for ${this.#options.file}; the oldest was dropped`);
    }
    this.#waiting.push(`${JSON.stringify(record)}\n`);
    this.#schedule(this.#options.batchMs ?? 100);
  }

  /** After the file was moved away (log rotation, SIGHUP): the next batch opens the path anew. */
  reopen(): void {
    this.#reopen = true;
  }

  /** Writes what waits (one try) and closes the file. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
    if (this.#waiting.length > 0) await this.#writeBatch();
    await this.#release();
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#running !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#writeBatch().then((written) => {
        this.#running = undefined;
        if (this.#waiting.length > 0) {
          this.#schedule(written ? (this.#options.batchMs ?? 100) : (this.#options.retryMs ?? 2000));
        }
      });
    }, delayMs);
    // The process may end while a record waits; close() is what writes it then.
    this.#timer.unref();
  }

  async #writeBatch(): Promise<boolean> {
    const batch = this.#waiting.splice(0);
    try {
      if (this.#reopen || (await isDeleted(this.#handle))) await this.#release();
      this.#handle ??= await openForAppend(this.#options.file);
      await appendWhole(this.#handle, batch.join(''));
      this.#written += batch.length;
      return true;
    } catch (error) {
      this.#failures++;
      this.#waiting.unshift(...batch);
      const surplus = this.#waiting.length - (this.#options.maxWaiting ?? 10_000);
      if (surplus > 0) {
        this.#waiting.splice(0, surplus);
        this.#dropped += surplus;
      }
      await this.#release();
      this.#failed(error as Error);
      return false;
    }
  }

  #failed(error: Error): void {
    this.#options.onError?.(`call records not written to ${this.#options.file}: ${error.message}`);
  }

  async #release(): Promise<void> {
    this.#reopen = false;
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => undefined);
  }
}

/** Mode 0600: records tell who called whom. A line cut off by a crash is closed, so that the next record starts anew. */
async function openForAppend(file: string): Promise<FileHandle> {
  await mkdir(dirname(file), { recursive: true, mode: 0o750 });
  const handle = await open(file, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    if (size > 0) {
      const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
      if (buffer[0] !== 0x0a) await handle.appendFile('\n');
    }
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Somebody has deleted the file, or its folder: what is still written to it nobody will ever read. */
async function isDeleted(handle: FileHandle | undefined): Promise<boolean> {
  return handle !== undefined && (await handle.stat()).nlink === 0;
}

/** All of `text` and on the disk, or (disk full) nothing of it: half a batch would be written twice by the retry. */
async function appendWhole(handle: FileHandle, text: string): Promise<void> {
  const { size } = await handle.stat();
  try {
    await handle.appendFile(text);
    await handle.datasync();
  } catch (error) {
    await handle.truncate(size).catch(() => undefined);
    throw error;
  }
}
