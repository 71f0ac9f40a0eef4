import type { TunnelConnectionRef, TunnelOutput } from './contract.ts';

/** Outputs in order; adjacent frames for one connection leave as one piece, so that they cost one TLS record and one write. */
export class OutputQueue {
  #queue: (
    | TunnelOutput
    | { readonly kind: 'frames'; readonly connection: number; readonly parts: Uint8Array[]; mayWait: boolean }
  )[] = [];
  #head = 0;

  push(output: TunnelOutput): void {
    this.#queue.push(output);
  }

  send(connection: TunnelConnectionRef, bytes: Uint8Array, mayWait = false): void {
    const last = this.#head < this.#queue.length ? this.#queue[this.#queue.length - 1] : undefined;
    if (last?.kind === 'frames' && last.connection === connection) {
      last.parts.push(bytes);
      last.mayWait = last.mayWait && mayWait;
    } else this.#queue.push({ kind: 'frames', connection, parts: [bytes], mayWait });
  }

  poll(): TunnelOutput | undefined {
    const next = this.#queue[this.#head];
    if (next === undefined) return undefined;
    if (++this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    }
    if (next.kind !== 'frames') return next;
    const { connection, parts, mayWait } = next;
    return { kind: 'send', connection, bytes: joined(parts), mayWait };
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
