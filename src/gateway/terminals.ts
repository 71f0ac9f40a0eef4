/** H.323 terminals registered at our gatekeeper, by each number and name they registered. The endpoint owns their life. */
import type { H323Alias } from '../h323/peer-contract.ts';
import type { Address } from '../machine/address.ts';

export interface Terminal {
  readonly account: string;
  readonly address: Address;
}

export class Terminals {
  readonly #byAccount = new Map<
    string,
    { readonly terminal: Terminal; readonly aliases: readonly string[] }
  >();
  readonly #byAlias = new Map<string, Terminal>();

  get size(): number {
    return this.#byAccount.size;
  }

  registered(account: string, aliases: readonly H323Alias[], address: Address): void {
    this.unregistered(account);
    const names = aliases.map((a) => (a.kind === 'number' ? a.number : a.name));
    const terminal = { account, address };
    this.#byAccount.set(account, { terminal, aliases: names });
    for (const name of names) this.#byAlias.set(name, terminal);
  }

  unregistered(account: string): void {
    const known = this.#byAccount.get(account);
    if (known === undefined) return;
    this.#byAccount.delete(account);
    for (const name of known.aliases)
      if (this.#byAlias.get(name) === known.terminal) this.#byAlias.delete(name);
  }

  lookup(number: string): Terminal | undefined {
    return this.#byAlias.get(number);
  }
}
