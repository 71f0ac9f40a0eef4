import { endianness } from 'node:os';

/** Memory that never moves, and where it is. */
export interface NativeMemory {
  readonly bytes: Buffer;
  readonly address: number;
}

/**
 * Functions of the process's own C libraries (libc, and the OpenSSL inside node) through koffi. Addresses are given as numbers, so that a call
 * allocates nothing and takes a third of a microsecond.
 */
export interface Native {
  /** A function by its C declaration, every pointer a `uintptr_t`. Throws where the process does not have it. */
  define<F>(declaration: string): F;
  allocate(octets: number): NativeMemory;
  /** A copy with a NUL behind it, for good. */
  text(value: string): NativeMemory;
  /** Name of the C library's errno. */
  lastError(): string;
  /** Where octets lie that are kept: their memory does not move once it has an address. */
  addressOf(bytes: Uint8Array): number;
}

/** The same function, waited for on a thread of its own. */
export function inBackground<A extends readonly unknown[]>(
  call: (...args: A) => number,
  args: A,
  done: (result: number) => void,
): void {
  const { async: start } = call as unknown as { async(...all: unknown[]): void };
  start(...args, (_error: unknown, result: number) => done(result));
}

/** Rejects where koffi or Linux is not to be had (other systems, musl without a build, ...). */
export async function loadNative(): Promise<Native> {
  if (process.platform !== 'linux' || endianness() !== 'LE' || !['x64', 'arm64'].includes(process.arch)) {
    throw new Error('the koffi plane needs Linux on x64 or arm64');
  }
  const koffi = (await import('koffi')).default;
  const library = koffi.load(null);
  const names = new Map(Object.entries(koffi.os.errno).map(([name, value]) => [Number(value), name]));
  const addressOf = (bytes: Uint8Array): number => Number(koffi.address(bytes));
  const allocate = (octets: number): NativeMemory => {
    const bytes = Buffer.allocUnsafeSlow(octets).fill(0);
    return { bytes, address: addressOf(bytes) };
  };
  return {
    define: <F>(declaration: string) => library.func(declaration) as unknown as F,
    allocate,
    text(value) {
      const memory = allocate(Buffer.byteLength(value) + 1);
      memory.bytes.write(value, 'utf8');
      return memory;
    },
    lastError: () => names.get(koffi.errno()) ?? `errno ${koffi.errno()}`,
    addressOf,
  };
}

/** Every function of a table, by its name there. */
export function defineAll<C>(native: Native, declarations: Readonly<Record<keyof C, string>>): C {
  const entries = Object.entries<string>(declarations);
  return Object.fromEntries(
    entries.map(([name, declaration]) => [name, native.define(declaration)]),
  ) as unknown as C;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** One piece of memory that is given out in parts and never taken back. Copies within it are cheap, and nothing of it is ever moved. */
export class Arena {
  readonly bytes: Buffer;
  readonly address: number;
  #next = 0;

  constructor(native: Native, octets: number) {
    const { bytes, address } = native.allocate(octets);
    this.bytes = bytes;
    this.address = address;
  }

  /** Where the part begins, at a multiple of 64; -1 where there is not so much left. */
  take(octets: number): number {
    const at = this.#next;
    if (at + octets > this.bytes.length) return -1;
    this.#next = (at + octets + 63) & ~63;
    return at;
  }
}
