/** Carries the SIP outputs of a gateway to sockets and what happens there back to it. No decision is taken here. */
import type { GatewayConfig } from '../gateway/config.ts';
import type { GatewayInput, GatewayOutput } from '../gateway/contract.ts';
import type { SipResolver } from '../net/dns.ts';
import type { SipListenerOptions } from '../net/sip-transport.ts';
import type { Identities } from './identities.ts';
import type { Moved } from './move-listeners.ts';
import { SignallingSockets } from './signalling-sockets.ts';

type Input = Extract<GatewayInput, { kind: 'sip' }>['input'];
type Output = Extract<GatewayOutput, { kind: 'sip' }>['output'];

interface SipCarrierHandlers {
  input(input: Input): void;
  refused(reason: string): void;
}

export class SipCarrier {
  readonly #sockets: SignallingSockets;

  constructor(config: GatewayConfig, resolver: SipResolver, handlers: SipCarrierHandlers) {
    const { connectionsPerSource } = config.limits;
    this.#sockets = new SignallingSockets(handlers, resolver, { connectionsPerSource });
  }

  /** Opens and closes listeners so that they are those of `config`. Rejects with the system's error, then nothing has changed. */
  listen(config: GatewayConfig, identities: Identities): Promise<Moved> {
    return this.#sockets.listen(
      config.sip.listeners.map(({ name, transport, address }): SipListenerOptions => {
        const identity = identities.listeners.get(name);
        return { name, transport, address, ...(identity === undefined ? {} : { identity }) };
      }),
    );
  }

  output(out: Output): void {
    this.#sockets.output(out);
  }

  stop(): Promise<void> {
    return this.#sockets.transport.stop();
  }
}
