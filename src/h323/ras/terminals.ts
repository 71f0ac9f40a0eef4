/** The table of our small gatekeeper: terminals registered with us, by endpoint identifier, alias and source address. */
import { toHex } from '../../bytes/text.ts';
import type { Address } from '../../machine/address.ts';
import type { Alarm } from '../../machine/alarm.ts';
import { decrease, increase } from '../../machine/counts.ts';
import type { Core } from '../core.ts';
import { aliasText } from '../party.ts';
import type { H323Alias } from '../peer-contract.ts';

export interface Terminal {
  readonly identifier: string;
  /** The alias it registered first; its name towards the user. */
  readonly account: string;
  aliases: readonly H323Alias[];
  readonly password: string | undefined;
  /** Where its RAS comes from and goes. */
  ras: Address;
  /** Its call signalling: at the same IP. */
  signalling: Address;
  seconds: number;
  readonly alarm: Alarm;
}

export class Terminals {
  readonly #core: Core;
  readonly #byIdentifier = new Map<string, Terminal>();
  readonly #byAlias = new Map<string, Terminal>();
  readonly #perSource = new Map<string, number>();

  constructor(core: Core) {
    this.#core = core;
  }

  get size(): number {
    return this.#byIdentifier.size;
  }

  get(identifier: string | undefined): Terminal | undefined {
    return identifier === undefined ? undefined : this.#byIdentifier.get(identifier);
  }

  byAlias(alias: H323Alias): Terminal | undefined {
    return this.#byAlias.get(key(alias));
  }

  /** The terminal whose calls come from this source; where several share it, the one of the named alias. */
  bySource(ip: string, alias?: string): Terminal | undefined {
    if (!this.#perSource.has(ip)) return undefined;
    const here = [...this.#byIdentifier.values()].filter((t) => t.signalling.ip === ip);
    return here.find((t) => t.aliases.some((a) => aliasText(a) === alias)) ?? here[0];
  }

  /** Whether another terminal fits, from this source. */
  room(ip: string): boolean {
    const { terminals, terminalsPerSource } = this.#core.options.limits;
    return this.size < terminals && (this.#perSource.get(ip) ?? 0) < terminalsPerSource;
  }

  add(from: Omit<Terminal, 'identifier' | 'alarm' | 'account'>): Terminal {
    const terminal: Terminal = {
      ...from,
      identifier: toHex(this.#core.options.random.bytes(8)),
      account: aliasText(from.aliases[0]!),
      alarm: this.#core.alarm(() => {
        this.#core.count('terminal-expired', terminal.ras);
        this.remove(terminal);
      }),
    };
    this.#byIdentifier.set(terminal.identifier, terminal);
    increase(this.#perSource, terminal.signalling.ip);
    this.setAliases(terminal, from.aliases);
    return terminal;
  }

  setAliases(terminal: Terminal, aliases: readonly H323Alias[]): void {
    for (const alias of terminal.aliases) {
      if (this.#byAlias.get(key(alias)) === terminal) this.#byAlias.delete(key(alias));
    }
    terminal.aliases = aliases;
    for (const alias of aliases) this.#byAlias.set(key(alias), terminal);
  }

  /** Alive for its time to live, and some more so that a late keep-alive is in time. */
  touch(terminal: Terminal): void {
    terminal.alarm.set(this.#core.now + terminal.seconds * 1000 + 10_000);
  }

  remove(terminal: Terminal): void {
    if (!this.#byIdentifier.delete(terminal.identifier)) return;
    terminal.alarm.set(undefined);
    decrease(this.#perSource, terminal.signalling.ip);
    for (const alias of terminal.aliases) {
      if (this.#byAlias.get(key(alias)) === terminal) this.#byAlias.delete(key(alias));
    }
    this.#core.event({ kind: 'terminal-unregistered', account: terminal.account });
  }

  clear(): void {
    for (const terminal of [...this.#byIdentifier.values()]) this.remove(terminal);
  }
}

function key(alias: H323Alias): string {
  return `${alias.kind} ${aliasText(alias)}`;
}
