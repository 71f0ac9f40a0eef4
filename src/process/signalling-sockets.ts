/** Sockets and name look-ups of one signalling protocol. */
import type { Address } from '../machine/address.ts';
import type { SipResolver } from '../net/dns.ts';
import {
  type OpenedStream,
  type OpenStream,
  type SipListenerOptions,
  SipTransport,
  type SipTransportLimits,
} from '../net/sip-transport.ts';
import { type Moved, moveListeners } from './move-listeners.ts';

type Query = Parameters<SipResolver['resolve']>[0];
type Targets = Awaited<ReturnType<SipResolver['resolve']>>;

/** What SIP's and H.323's endpoints both tell their sockets. */
type SocketOutput =
  | {
      readonly kind: 'send-datagram';
      readonly listener: string;
      readonly remote: Address;
      readonly bytes: Uint8Array;
    }
  | ({ readonly kind: 'open-stream' } & OpenStream)
  | { readonly kind: 'send-stream'; readonly connection: number; readonly bytes: Uint8Array }
  | { readonly kind: 'close-stream'; readonly connection: number }
  | ({ readonly kind: 'resolve'; readonly query: number } & Query);

/** And what both are told. */
type SocketInput =
  | {
      readonly kind: 'datagram';
      readonly listener: string;
      readonly remote: Address;
      readonly bytes: Uint8Array;
    }
  | ({ readonly kind: 'stream-open' } & OpenedStream)
  | { readonly kind: 'stream-data'; readonly connection: number; readonly bytes: Uint8Array }
  | { readonly kind: 'stream-closed'; readonly connection: number; readonly reason: string }
  | { readonly kind: 'unreachable'; readonly listener: string; readonly remote: Address }
  | { readonly kind: 'resolved'; readonly query: number; readonly targets: Targets };

export interface SignallingSocketHandlers {
  input(input: SocketInput): void;
  refused(reason: string): void;
}

export class SignallingSockets {
  readonly transport: SipTransport;
  readonly #resolver: SipResolver;
  readonly #handlers: SignallingSocketHandlers;
  #listeners: readonly SipListenerOptions[] = [];

  constructor(handlers: SignallingSocketHandlers, resolver: SipResolver, limits: SipTransportLimits) {
    this.#resolver = resolver;
    this.#handlers = handlers;
    this.transport = new SipTransport(
      {
        onDatagram: (listener, remote, bytes) =>
          handlers.input({ kind: 'datagram', listener, remote, bytes }),
        onStreamOpen: (stream) => handlers.input({ kind: 'stream-open', ...stream }),
        onStreamData: (connection, bytes) => handlers.input({ kind: 'stream-data', connection, bytes }),
        onStreamClosed: (connection, reason) => handlers.input({ kind: 'stream-closed', connection, reason }),
        onUnreachable: (listener, remote) => handlers.input({ kind: 'unreachable', listener, remote }),
        onRefused: (reason) => handlers.refused(reason),
      },
      limits,
    );
  }

  /** Opens and closes listeners so that they are these. Rejects with the system's error, then nothing has changed. */
  async listen(wanted: readonly SipListenerOptions[]): Promise<Moved> {
    const before = this.#listeners;
    const { messages, undo } = await moveListeners(this.transport, before, wanted);
    this.#listeners = wanted;
    return {
      messages,
      undo: () => {
        this.#listeners = before;
        return undo();
      },
    };
  }

  output(out: SocketOutput): void {
    switch (out.kind) {
      case 'send-datagram':
        this.transport.sendDatagram(out.listener, out.remote, out.bytes);
        break;
      case 'open-stream':
        this.transport.openStream(out);
        break;
      case 'send-stream':
        this.transport.sendStream(out.connection, out.bytes);
        break;
      case 'close-stream':
        this.transport.closeStream(out.connection);
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
}
