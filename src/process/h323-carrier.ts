/** Carries the H.323 outputs of a gateway to sockets and what happens there back to it. No decision is taken here. */
import type { GatewayConfig, H323Config } from '../gateway/config.ts';
import type { GatewayInput, GatewayOutput } from '../gateway/contract.ts';
import type { SipResolver } from '../net/dns.ts';
import { type SipListenerOptions, SipTransport } from '../net/sip-transport.ts';
import { moveListeners } from './move-listeners.ts';

type Input = Extract<GatewayInput, { kind: 'h323' }>['input'];
type Output = Extract<GatewayOutput, { kind: 'h323' }>['output'];

/** A call says nothing on its signalling connection for hours: the endpoint closes what is idle, not the socket. */
const IDLE_MS = 7 * 24 * 3600_000;
const DEFAULT_PORTS: H323Config['h245Ports'] = [30_000, 30_999];

export interface H323CarrierHandlers {
  input(input: Input): void;
  refused(reason: string): void;
}

export class H323Carrier {
  readonly #transport: SipTransport;
  readonly #resolver: SipResolver;
  readonly #handlers: H323CarrierHandlers;
  #ports = DEFAULT_PORTS;
  #listeners: readonly SipListenerOptions[] = [];

  constructor(config: GatewayConfig, resolver: SipResolver, handlers: H323CarrierHandlers) {
    this.#resolver = resolver;
    this.#handlers = handlers;
    this.#transport = new SipTransport(
      {
        onDatagram: (listener, remote, bytes) =>
          handlers.input({ kind: 'datagram', listener, remote, bytes }),
        onStreamOpen: ({ connection, listener, local, remote, listening }) =>
          handlers.input({
            kind: 'stream-open',
            connection,
            listener,
            local,
            remote,
            ...(listening === undefined ? {} : { listening }),
          }),
        onStreamData: (connection, bytes) => handlers.input({ kind: 'stream-data', connection, bytes }),
        onStreamClosed: (connection, reason) => handlers.input({ kind: 'stream-closed', connection, reason }),
        onUnreachable: (listener, remote) => handlers.input({ kind: 'unreachable', listener, remote }),
        onRefused: (reason) => handlers.refused(reason),
      },
      { connectionsPerSource: config.limits.connectionsPerSource, idleMs: IDLE_MS },
    );
  }

  /** Opens and closes listeners so that they are those of `config`. Rejects with the system's error, then nothing has changed. */
  async listen(config: H323Config | undefined): Promise<readonly string[]> {
    const wanted = (config?.listeners ?? []).map(({ name, transport, address }) => ({
      name,
      transport,
      address,
    }));
    const { messages } = await moveListeners(this.#transport, this.#listeners, wanted);
    this.#listeners = wanted;
    this.#ports = config?.h245Ports ?? DEFAULT_PORTS;
    return messages;
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
      case 'listen': {
        const { listening, listener } = out;
        this.#transport.listen(listening, listener, this.#ports).then(
          (local) => this.#handlers.input({ kind: 'listening', listening, local }),
          (error: Error) => this.#handlers.input({ kind: 'listen-failed', listening, reason: error.message }),
        );
        break;
      }
      case 'unlisten':
        this.#transport.unlisten(out.listening);
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
