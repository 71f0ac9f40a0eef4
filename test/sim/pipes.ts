/** The TCP connections between relay gateways and the termination gateway, as byte pipes that can be cut or go dead. */
import type { SeededRandom } from '../../src/machine/seeded-random.test.ts';
import type { Schedule } from './schedule.ts';
import type { GatewayTunnelInput, GatewayTunnelOutput, TunnelEnd } from './sim-gateway.ts';

export const TERMINATION = 'gw2';
const ONE_WAY_MS = 3;

interface Pipe {
  readonly site: string;
  /** Connection numbers at the relay's end and at the termination gateway's. */
  readonly relay: number;
  readonly termination: number;
  open: boolean;
  /** Established but dead: nothing arrives any more, and nobody is told. */
  dead: boolean;
}

type Side = 'relay' | 'termination';
type PipeEvent =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'connected'; readonly exporter: Uint8Array }
  | { readonly kind: 'closed'; readonly reason: string };

export class Pipes {
  readonly #schedule: Schedule;
  readonly #random: SeededRandom;
  readonly #end: (name: string) => TunnelEnd;
  #pipes: Pipe[] = [];
  #nextConnection = 1;
  #cutUntil = -1;

  constructor(schedule: Schedule, random: SeededRandom, end: (name: string) => TunnelEnd) {
    this.#schedule = schedule;
    this.#random = random;
    this.#end = end;
  }

  /** Signalling is cut for `ms`: `silent` leaves connections established but dead, else they are reset. */
  cut(ms: number, silent: boolean): void {
    this.#cutUntil = this.#schedule.now + ms;
    for (const pipe of [...this.#pipes]) {
      if (silent) pipe.dead = true;
      else this.#close(pipe, 'reset');
    }
  }

  /** The process at one end is gone: the other sees a reset. */
  died(name: string): void {
    for (const pipe of [...this.#pipes]) {
      if (name === TERMINATION) this.#close(pipe, 'reset', 'relay');
      else if (pipe.site === name) this.#close(pipe, 'reset', 'termination');
    }
  }

  get open(): number {
    return this.#pipes.length;
  }

  /** What the gateway `name` wants of its connection with `site`. */
  output(name: string, site: string, out: GatewayTunnelOutput): void {
    if (out.kind === 'dial') {
      this.#dial(name, out.connection);
      return;
    }
    const side: Side = name === TERMINATION ? 'termination' : 'relay';
    const relayName = name === TERMINATION ? site : name;
    const pipe = this.#pipes.find((p) => p.site === relayName && p[side] === out.connection);
    if (pipe === undefined) return;
    const other: Side = side === 'relay' ? 'termination' : 'relay';
    if (out.kind === 'send') {
      if (pipe.dead) return;
      const bytes = out.bytes.slice();
      this.#schedule.after(ONE_WAY_MS, () => {
        if (pipe.open && !pipe.dead) this.#tell(other, pipe, { kind: 'data', bytes });
      });
    } else if (pipe.dead) this.#forget(pipe);
    // Data sent before the close arrives before it.
    else this.#schedule.after(ONE_WAY_MS, () => this.#close(pipe, out.reason, other));
  }

  #dial(site: string, relay: number): void {
    if (this.#schedule.now < this.#cutUntil) {
      const input = { kind: 'closed', connection: relay, reason: 'unreachable' } as const;
      this.#schedule.after(5, () => this.#end(site).tunnel(TERMINATION, input));
      return;
    }
    const pipe: Pipe = { site, relay, termination: this.#nextConnection++, open: true, dead: false };
    this.#pipes.push(pipe);
    const exporter = this.#random.bytes(32);
    this.#schedule.after(2 * ONE_WAY_MS, () => {
      if (!pipe.open || pipe.dead) return;
      this.#tell('termination', pipe, { kind: 'connected', exporter });
      this.#tell('relay', pipe, { kind: 'connected', exporter });
    });
  }

  #tell(side: Side, pipe: Pipe, event: PipeEvent): void {
    const input: GatewayTunnelInput = { ...event, connection: pipe[side] };
    if (side === 'relay') this.#end(pipe.site).tunnel(TERMINATION, input);
    else this.#end(TERMINATION).tunnel(pipe.site, input);
  }

  #close(pipe: Pipe, reason: string, only?: Side): void {
    if (!pipe.open) return;
    this.#forget(pipe);
    if (only !== 'relay') this.#tell('termination', pipe, { kind: 'closed', reason });
    if (only !== 'termination') this.#tell('relay', pipe, { kind: 'closed', reason });
  }

  #forget(pipe: Pipe): void {
    pipe.open = false;
    this.#pipes = this.#pipes.filter((p) => p !== pipe);
  }
}
