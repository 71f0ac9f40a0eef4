import type { Address } from '../machine/address.ts';
import type { SocketBuffers } from '../media/plane-contract.ts';
import type { SourceWords } from '../rtp/source-words.ts';

/**
 * Datagrams for the media plane, one socket per token. Two implementations: `udp-koffi.ts` (system calls without allocation) and
 * `udp-dgram.ts` (Node's own). A token is a small integer chosen by the user; it may be used again after `close`.
 */
export interface Udp {
  readonly implementation: 'koffi' | 'dgram';
  /** What a shared port's socket gets. */
  readonly buffers: SocketBuffers | undefined;
  /** The datagram to send is built here, from offset 0. */
  readonly outgoing: Uint8Array;
  /** Binds. `done` gets a reason where that fails; it may be called before `open` returns. `shared`: many streams' packets will come and go here. */
  open(local: Address, token: number, done: (error: string | undefined) => void, shared?: boolean): void;
  close(token: number): void;
  /** Prepares a destination once; undefined where `address.ip` is no address or the port is 0. */
  destination(address: Address): Destination | undefined;
  /** Sends `outgoing[0..length)`. Never waits: what the system does not take is lost, as UDP may. */
  send(token: number, destination: Destination, length: number): void;
  /** Other memory that `sendFrom` takes; undefined: there is none. */
  readonly arena: Uint8Array | undefined;
  /** Sends `arena[start..start + length)`. */
  sendFrom(token: number, destination: Destination, start: number, length: number): void;
  /** Sends what waits for company. To be called once per turn, after everything that may send. */
  flush(): void;
  /** Delivers what has arrived. A no-op where the implementation delivers by itself. */
  poll(): void;
  /** Whether `poll` has to be called (once per millisecond) for anything to arrive. */
  readonly polled: boolean;
  stop(): void;
}

export interface Destination {
  readonly address: Address;
}

export interface UdpReceiver {
  /** `bytes` and `source` are valid during the call only. */
  packet(token: number, bytes: Uint8Array, start: number, length: number, source: SourceWords): void;
}
