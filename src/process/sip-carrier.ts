/** Carries the SIP outputs of a gateway to sockets and what happens there back to it. No decision is taken here. */
import type { GatewayConfig } from '../gateway/config.ts';
import type { GatewayInput, GatewayOutput } from '../gateway/contract.ts';
import type { SipResolver } from '../net/dns.ts';
import { type SipListenerOptions, SipTransport } from '../net/sip-transport.ts';
import type { Identities } from './identities.ts';
import { type Moved, moveListeners } from './move-listeners.ts';

type Input = Extract<GatewayInput, { kind: 'sip' }>['input'];
type Output = Extract<GatewayOutput, { kind: 'sip' }>['output'];

interface SipCarrierHandlers {
  input(input: Input): void;
  refused(reason: string): void;
}

export class SipCarrier {
  readonly #transport: SipTransport;
  readonly #resolver: SipResolver;
  readonly #handlers: SipCarrierHandlers;
  #listeners: readonly SipListenerOptions[] = [];

  constructor(config: GatewayConfig, resolver: SipResolver, handlers: SipCarrierHandlers) {
    this.#resolver = resolver;
    this.#handlers = handlers;
    this.#transport = new SipTransport(
      {
        onDatagram: (listener, remote, bytes) =>
          handlers.input({ kind: 'datagram', listener, remote, bytes }),
        onStreamOpen: (stream) => handlers.input({ kind: 'stream-open', ...stream }),
        onStreamData: (connection, bytes) => handlers.input({ kind: 'stream-data', connection, bytes }),
        onStreamClosed: (connection, reason) => handlers.input({ kind: 'stream-closed', connection, reason }),
        onUnreachable: (listener, remote) => handlers.input({ kind: 'unreachable', listener, remote }),
        onRefused: (reason) => handlers.refused(reason),
      },
      { connectionsPerSource: config.limits.connectionsPerSource },
    );
  }

  /** Opens and closes listeners so that they are those of `config`. Rejects with the system's error, then nothing has changed. */
  async listen(config: GatewayConfig, identities: Identities): Promise<Moved> {
    const before = this.#listeners;
    const wanted = sipListeners(config, identities);
    const { messages, undo } = await moveListeners(this.#transport, before, wanted);
    this.#listeners = wanted;
    return {
      messages,
      undo: () => {
        this.#listeners = before;
        return undo();
      },
    };
  }

  output(out: Output): void {
    switch (out.kind) {
      case 'send-datagram':
        this.#transport.sendDatagram(out.listener, out.remote, out.bytes);
        break;
      case 'open-stream':
        this.#transport.openStream(out);
        break;
      case 'send-stream':
        this.#transport.sendStream(out.connection, out.bytes);
        break;
      case 'close-stream':
        this.#transport.closeStream(out.connection);
        break;
      case 'resolve': {
        const { query } = out;
        this.#resolver.resolve(out).then(
          (targets) => this.#handlers.input({ kind: 'resolved', query, targets }),
          () => this.#handlers.input({ kind: 'resolved', query, targets: [] }),
        );
        break;
      }
    }
  }

  stop(): Promise<void> {
    return this.#transport.stop();
  }
}

function sipListeners(config: GatewayConfig, identities: Identities): SipListenerOptions[] {
  return config.sip.listeners.map(({ name, transport, address }) => {
    const identity = identities.listeners.get(name);
    return { name, transport, address, ...(identity === undefined ? {} : { identity }) };
  });
}
