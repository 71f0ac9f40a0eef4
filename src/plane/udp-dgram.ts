import dgram from 'node:dgram';
import { type Address, isIpv6 } from '../machine/address.ts';
import { MAX_DATAGRAM } from '../rtp/packet.ts';
import { parseSource, type SourceWords, sourceWords } from '../rtp/source-words.ts';
import { MOST_ADDED } from './packet-transform.ts';
import type { Destination, Udp, UdpReceiver } from './udp.ts';

const CACHED_SOURCES = 1024;

/** The plain implementation, on Node's dgram: used where koffi cannot load, and the oracle in tests. */
export class DgramUdp implements Udp {
  readonly implementation = 'dgram';
  readonly polled = false;
  readonly buffers = undefined;
  readonly outgoing = new Uint8Array(MAX_DATAGRAM + MOST_ADDED);
  readonly #receiver: UdpReceiver;
  readonly #sockets = new Map<number, dgram.Socket>();
  readonly #hosts = new Map<string, SourceWords>();
  readonly #source = sourceWords();

  constructor(receiver: UdpReceiver) {
    this.#receiver = receiver;
  }

  open(local: Address, token: number, done: (error: string | undefined) => void): void {
    const v6 = isIpv6(local.ip);
    const socket = dgram.createSocket({ type: v6 ? 'udp6' : 'udp4', ipv6Only: v6 });
    this.#sockets.set(token, socket);
    let bound = false;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // After binding an error is a send that the network refused: nothing to do.
      if (bound || this.#sockets.get(token) !== socket) return;
      this.close(token);
      done(`bind ${local.ip} port ${local.port}: ${error.code ?? error.message}`);
    });
    socket.on('message', (message, from) => {
      if (this.#sockets.get(token) !== socket) return;
      const host = this.#host(from.address);
      if (host === undefined) return;
      const source = this.#source;
      source.a = host.a;
      source.b = host.b;
      source.c = host.c;
      source.d = host.d;
      source.port = from.port;
      this.#receiver.packet(token, message, 0, message.length, source);
    });
    socket.bind({ address: local.ip, port: local.port, exclusive: true }, () => {
      bound = true;
      if (this.#sockets.get(token) === socket) done(undefined);
    });
  }

  close(token: number): void {
    const socket = this.#sockets.get(token);
    if (socket === undefined) return;
    this.#sockets.delete(token);
    socket.close();
  }

  destination(address: Address): Destination | undefined {
    return address.port > 0 && parseSource(address) !== undefined ? { address } : undefined;
  }

  readonly arena = undefined;

  sendFrom(): void {}

  send(token: number, destination: Destination, length: number): void {
    const socket = this.#sockets.get(token);
    // dgram sends later: it needs a copy.
    const copy = Buffer.from(this.outgoing.subarray(0, length));
    try {
      socket?.send(copy, destination.address.port, destination.address.ip, ignore);
    } catch {
      // Not bound yet or another family: lost, as UDP may.
    }
  }

  flush(): void {}

  poll(): void {}

  stop(): void {
    for (const token of [...this.#sockets.keys()]) this.close(token);
  }

  #host(ip: string): SourceWords | undefined {
    let words = this.#hosts.get(ip);
    if (words !== undefined) return words;
    // A zone (fe80::1%eth0) is this machine's business.
    words = parseSource({ ip: ip.replace(/%.*$/, ''), port: 0 });
    if (this.#hosts.size >= CACHED_SOURCES) this.#hosts.clear();
    if (words !== undefined) this.#hosts.set(ip, words);
    return words;
  }
}

function ignore(): void {}
