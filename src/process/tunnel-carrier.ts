/**
 * Carries the tunnel's outputs of a gateway to the two TCP ports between the gateways, and what happens there back to it: a relay gateway
 * dials (its lanes are dialled by the media workers), a termination gateway listens. No decision is taken here.
 */
import type { Socket } from 'node:net';
import type { GatewayConfig } from '../gateway/config.ts';
import type { GatewayInput, GatewayOutput } from '../gateway/contract.ts';
import type { Address } from '../machine/address.ts';
import { MediaListener } from '../net/media-listener.ts';
import type { TlsIdentity } from '../net/tls.ts';
import { TunnelDialer } from '../net/tunnel-dialer.ts';
import { TunnelListener } from '../net/tunnel-listener.ts';
import type { Logger } from '../store/log.ts';

type Input = Extract<GatewayInput, { kind: 'tunnel' }>['input'];
type Output = Extract<GatewayOutput, { kind: 'tunnel' }>['output'];

interface TunnelCarrierHandlers {
  input(site: string, input: Input): void;
  /** A connection on the media port. */
  lane(socket: Socket): void;
  refused(reason: string, remote: Address): void;
}

export class TunnelCarrier {
  readonly #log: Logger;
  readonly #handlers: TunnelCarrierHandlers;
  #dialer: TunnelDialer | undefined;
  #dialled: readonly unknown[] = [];
  #listener: TunnelListener | undefined;
  #mediaListener: MediaListener | undefined;

  constructor(log: Logger, handlers: TunnelCarrierHandlers) {
    this.#log = log;
    this.#handlers = handlers;
  }

  /** Rejects with the system's error where a port cannot be had. */
  async start(config: GatewayConfig, identity: TlsIdentity): Promise<void> {
    if (config.role === 'termination') {
      await this.#listen(config, identity);
      return;
    }
    const site = config.tunnel.peerName ?? '';
    const input = (what: Input): void => this.#handlers.input(site, what);
    this.#dialled = dialled(config, identity);
    this.#dialer = new TunnelDialer(dialOptions(config, identity), {
      onConnected: (connection, exporter) => input({ kind: 'connected', connection, exporter }),
      onData: (connection, bytes) => input({ kind: 'data', connection, bytes }),
      onClosed: (connection, reason) => input({ kind: 'closed', connection, reason }),
    });
  }

  async #listen({ tunnel }: GatewayConfig, identity: TlsIdentity): Promise<void> {
    const { input, lane, refused } = this.#handlers;
    this.#listener = await TunnelListener.listen(
      { address: tunnel.signalling, identity, sites: tunnel.sites.map((s) => s.name) },
      {
        onConnected: (site, connection, exporter) => input(site, { kind: 'connected', connection, exporter }),
        onData: (site, connection, bytes) => input(site, { kind: 'data', connection, bytes }),
        onClosed: (site, connection, reason) => input(site, { kind: 'closed', connection, reason }),
        onRefused: refused,
      },
    );
    this.#mediaListener = await MediaListener.listen(
      { address: tunnel.media },
      { onSocket: lane, onRefused: refused },
    );
  }

  /** Make before break: the session moves to a connection with the new address or certificate. */
  reload(config: GatewayConfig, identity: TlsIdentity): void {
    this.#listener?.reload(
      identity,
      config.tunnel.sites.map((s) => s.name),
    );
    if (this.#dialer === undefined) return;
    this.#dialer.reload(dialOptions(config, identity));
    const was = JSON.stringify(this.#dialled);
    this.#dialled = dialled(config, identity);
    if (was !== JSON.stringify(this.#dialled))
      this.#handlers.input(config.tunnel.peerName ?? '', { kind: 'renew' });
  }

  output(out: Output): void {
    const side = this.#dialer ?? this.#listener;
    switch (out.kind) {
      case 'dial':
        this.#dialer?.dial(out.connection);
        break;
      case 'send':
        side?.send(out.connection, out.bytes, out.mayWait);
        break;
      case 'close':
        this.#log.debug('tunnel connection closed', { connection: out.connection, reason: out.reason });
        side?.close(out.connection);
        break;
    }
  }

  async stop(): Promise<void> {
    this.#dialer?.stop();
    await this.#listener?.stop();
    await this.#mediaListener?.stop();
  }
}

function dialOptions({ tunnel }: GatewayConfig, identity: TlsIdentity) {
  return { remote: tunnel.signalling, serverName: tunnel.peerName ?? '', identity };
}

/** What a new connection would differ in. */
function dialled({ tunnel }: GatewayConfig, identity: TlsIdentity): readonly unknown[] {
  return [tunnel.signalling, tunnel.media, identity];
}
