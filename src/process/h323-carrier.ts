/** Carries the H.323 outputs of a gateway to sockets and what happens there back to it. No decision is taken here. */
import type { GatewayConfig, H323Config } from '../gateway/config.ts';
import type { GatewayInput, GatewayOutput } from '../gateway/contract.ts';
import type { SipResolver } from '../net/dns.ts';
import { SignallingSockets } from './signalling-sockets.ts';

type Input = Extract<GatewayInput, { kind: 'h323' }>['input'];
type Output = Extract<GatewayOutput, { kind: 'h323' }>['output'];

/** A call says nothing on its signalling connection for hours: the endpoint closes what is idle, not the socket. */
const IDLE_MS = 7 * 24 * 3600_000;
const DEFAULT_PORTS: H323Config['h245Ports'] = [30_000, 30_999];

interface H323CarrierHandlers {
  input(input: Input): void;
  refused(reason: string): void;
}

export class H323Carrier {
  readonly #sockets: SignallingSockets;
  readonly #handlers: H323CarrierHandlers;
  #ports = DEFAULT_PORTS;

  constructor(config: GatewayConfig, resolver: SipResolver, handlers: H323CarrierHandlers) {
    this.#handlers = handlers;
    const { connectionsPerSource } = config.limits;
    this.#sockets = new SignallingSockets(handlers, resolver, { connectionsPerSource, idleMs: IDLE_MS });
  }

  /** Opens and closes listeners so that they are those of `config`. Rejects with the system's error, then nothing has changed. */
  async listen(config: H323Config | undefined): Promise<readonly string[]> {
    const { messages } = await this.#sockets.listen(
      (config?.listeners ?? []).map(({ name, transport, address }) => ({ name, transport, address })),
    );
    this.#ports = config?.h245Ports ?? DEFAULT_PORTS;
    return messages;
  }

  output(out: Output): void {
    switch (out.kind) {
      case 'listen': {
        const { listening, listener } = out;
        this.#sockets.transport.listen(listening, listener, this.#ports).then(
          (local) => this.#handlers.input({ kind: 'listening', listening, local }),
          (error: Error) => this.#handlers.input({ kind: 'listen-failed', listening, reason: error.message }),
        );
        break;
      }
      case 'unlisten':
        this.#sockets.transport.unlisten(out.listening);
        break;
      default:
        this.#sockets.output(out);
    }
  }

  stop(): Promise<void> {
    return this.#sockets.transport.stop();
  }
}
