/** TCP, UDP and opened ports for the H.323 endpoints of gateways and peers, in virtual time. Streams arrive in order and in pieces. */
import type { H323Input, H323Output } from '../../src/h323/contract.ts';
import type { Address } from '../../src/machine/address.ts';
import { formatAddress } from '../../src/machine/address.ts';
import type { SeededRandom } from '../../src/machine/seeded-random.test.ts';
import type { Schedule } from './schedule.ts';

export interface H323Host {
  readonly name: string;
  readonly listeners: readonly {
    readonly name: string;
    readonly transport: 'tcp' | 'udp';
    readonly address: Address;
  }[];
  readonly h245Ports: readonly [number, number];
  handle(input: H323Input): void;
}

type Carried = Exclude<H323Output, { kind: 'event' | 'count' | 'trace' }>;

interface End {
  readonly host: H323Host;
  readonly connection: number;
  /** When what was sent last to this end arrives: order is kept. */
  arrivesAt: number;
  other: End | undefined;
}

export class H323Net {
  readonly #schedule: Schedule;
  readonly #random: SeededRandom;
  readonly #hosts: H323Host[] = [];
  readonly #ends = new Map<string, End>();
  /** Address to who listens there for one call. */
  readonly #opened = new Map<
    string,
    { readonly host: H323Host; readonly listening: number; readonly listener: string }
  >();
  #nextPort = 0;
  #nextAccepted = 1;
  /** Every message as `FROM > TO octets`, for looking at failures. */
  readonly log: string[] = [];

  constructor(schedule: Schedule, random: SeededRandom) {
    this.#schedule = schedule;
    this.#random = random;
  }

  attach(host: H323Host): void {
    this.#hosts.push(host);
  }

  /** Connections and opened ports that are left. */
  get sizes(): { readonly connections: number; readonly opened: number } {
    return { connections: this.#ends.size, opened: this.#opened.size };
  }

  output(host: H323Host, out: Carried): void {
    switch (out.kind) {
      case 'send-datagram': {
        const from = host.listeners.find((l) => l.name === out.listener)!.address;
        const bytes = out.bytes.slice();
        this.#schedule.after(1, () => {
          for (const other of this.#hosts)
            for (const l of other.listeners)
              if (l.transport === 'udp' && formatAddress(l.address) === formatAddress(out.remote))
                other.handle({ kind: 'datagram', listener: l.name, remote: from, bytes });
        });
        break;
      }
      case 'open-stream':
        this.#open(host, out);
        break;
      case 'send-stream':
        this.#send(host, out.connection, out.bytes.slice());
        break;
      case 'close-stream':
        this.#close(host, out.connection);
        break;
      case 'listen':
        this.#listen(host, out);
        break;
      case 'unlisten':
        for (const [key, it] of this.#opened)
          if (it.host === host && it.listening === out.listening) this.#opened.delete(key);
        break;
      case 'resolve':
        this.#schedule.after(1, () => host.handle({ kind: 'resolved', query: out.query, targets: [] }));
        break;
    }
  }

  #listen(host: H323Host, out: Extract<Carried, { kind: 'listen' }>): void {
    const [first, last] = host.h245Ports;
    const { ip } = host.listeners.find((l) => l.name === out.listener)!.address;
    const local = { ip, port: first + (this.#nextPort++ % (last - first + 1)) };
    this.#opened.set(formatAddress(local), { host, listening: out.listening, listener: out.listener });
    this.#schedule.after(0, () => host.handle({ kind: 'listening', listening: out.listening, local }));
  }

  #open(host: H323Host, out: Extract<Carried, { kind: 'open-stream' }>): void {
    const { connection, remote, listener } = out;
    const own = host.listeners.find((l) => l.name === listener)!.address;
    const local = { ip: own.ip, port: 50_000 + (connection % 10_000) };
    this.#schedule.after(1, () => {
      const key = formatAddress(remote);
      const opened = this.#opened.get(key);
      const at = this.#hosts
        .flatMap((h) => h.listeners.map((l) => ({ host: h, l })))
        .find(({ l }) => l.transport === 'tcp' && formatAddress(l.address) === key);
      const far = opened?.host ?? at?.host;
      if (far === undefined) {
        host.handle({ kind: 'stream-closed', connection, reason: 'refused' });
        return;
      }
      const ref = this.#nextAccepted;
      this.#nextAccepted += 2;
      const now = this.#schedule.now;
      const near: End = { host, connection, arrivesAt: now, other: undefined };
      const end: End = { host: far, connection: ref, arrivesAt: now, other: near };
      near.other = end;
      this.#ends.set(`${host.name}/${connection}`, near);
      this.#ends.set(`${far.name}/${ref}`, end);
      far.handle({
        kind: 'stream-open',
        connection: ref,
        listener: opened?.listener ?? at!.l.name,
        ...(opened === undefined ? {} : { listening: opened.listening }),
        local: remote,
        remote: local,
      });
      host.handle({ kind: 'stream-open', connection, listener, local, remote });
    });
  }

  /** In order, 1 to 3 ms, sometimes cut in two: TCP keeps no borders of messages. */
  #send(host: H323Host, connection: number, bytes: Uint8Array): void {
    const end = this.#ends.get(`${host.name}/${connection}`);
    const far = end?.other;
    if (far === undefined) return;
    this.log.push(`${host.name} > ${far.host.name} ${Buffer.from(bytes).toString('hex')}`);
    const cut = this.#random.below(3) === 0 ? this.#random.below(bytes.length) : 0;
    for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
      if (piece.length === 0) continue;
      this.#arrive(far, () =>
        far.host.handle({ kind: 'stream-data', connection: far.connection, bytes: piece }),
      );
    }
  }

  #close(host: H323Host, connection: number): void {
    const key = `${host.name}/${connection}`;
    const far = this.#ends.get(key)?.other;
    this.#ends.delete(key);
    if (far === undefined) return;
    far.other = undefined;
    this.#arrive(far, () => {
      this.#ends.delete(`${far.host.name}/${far.connection}`);
      far.host.handle({ kind: 'stream-closed', connection: far.connection, reason: 'closed' });
    });
  }

  #arrive(end: End, run: () => void): void {
    const { now } = this.#schedule;
    end.arrivesAt = Math.max(end.arrivesAt, now + 1 + this.#random.below(3));
    this.#schedule.after(end.arrivesAt - now, () => {
      if (this.#ends.get(`${end.host.name}/${end.connection}`) === end) run();
    });
  }
}
