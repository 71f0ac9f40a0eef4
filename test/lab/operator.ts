/** A running gateway, asked through its operator socket, and its processes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

/** What the lab reads of `status`; see src/gateway/contract.ts. */
export interface Status {
  readonly name: string;
  readonly calls: number;
  readonly tunnels: readonly {
    readonly site: string;
    readonly state: string;
    readonly lanes: number;
    readonly session: string;
  }[];
  readonly peers: readonly { readonly name: string; readonly state: string }[];
  readonly trunks: readonly {
    readonly peer: string;
    readonly registered: boolean;
    readonly reason: string;
  }[];
  readonly shards: readonly { readonly shard: number; readonly implementation: string }[];
  readonly registrations: number;
  readonly counters: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly foreignNames: Readonly<Record<string, number>>;
}

export interface CallLine {
  readonly codecs: readonly string[];
  readonly call: string;
  readonly state: string;
  readonly caller: string;
  readonly callee: string;
  readonly streams: readonly { readonly packetsOut: number }[];
}

/** All descendants. */
export function children(pid: number): number[] {
  const file = `/proc/${pid}/task`;
  if (!existsSync(file)) return [];
  return readdirSync(file).flatMap((task) => {
    const list = join(file, task, 'children');
    const direct = existsSync(list) ? readFileSync(list, 'utf8').split(' ').filter(Boolean).map(Number) : [];
    return direct.flatMap((child) => [child, ...children(child)]);
  });
}

/** One question to a gateway's operator socket. */
export function ask(socket: string, request: unknown): Promise<unknown> {
  return new Promise((done, fail) => {
    let text = '';
    const connection = connect(socket);
    connection.setTimeout(3000, () => connection.destroy(new Error(`no answer from ${socket}`)));
    connection.on('error', fail);
    connection.on('connect', () => connection.write(`${JSON.stringify(request)}\n`));
    connection.on('data', (data) => {
      text += data.toString('utf8');
      if (!text.endsWith('\n')) return;
      connection.end();
      const answer = JSON.parse(text) as { ok: boolean; value?: unknown; error?: string };
      if (answer.ok) done(answer.value);
      else fail(new Error(answer.error));
    });
    connection.on('close', () => fail(new Error(`${socket} closed`)));
  });
}
