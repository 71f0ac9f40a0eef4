/** The sound side of our test phone: one UDP port, 20 ms of G.711 out, what comes in put in order. */

import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { decodeG711, encodeG711, type G711 } from '../src/rtp/g711.ts';

const FRAME = 160;

export interface LineStatistics {
  sent: number;
  received: number;
  /** Packets that never came, by sequence numbers. */
  lost: number;
  /** Packets that were not RTP of the agreed payload type. */
  odd: number;
  readonly digits: string;
  /** Longest time between two packets, ms. */
  longestGapMs: number;
}

export interface RtpLineOptions {
  readonly ip: string;
  readonly law?: G711;
  /** 8 kHz sound to send; repeated. undefined: nothing is sent until `echo` or `play`. */
  readonly play?: Int16Array;
  readonly echo?: boolean;
}

const DIGITS = '0123456789*#ABCD';

/** A line records at most this much (10 minutes). */
const MAX_HEARD = 600 * 8000;

export class RtpLine {
  readonly socket: Socket;
  law: G711;
  payloadType: number;
  eventType = 101;
  #remote: { ip: string; port: number } | undefined;
  #play: Uint8Array | undefined;
  #playAt = 0;
  #echo: boolean;
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0n;
  #framesSent = 0;
  #sequence = randomInt(0x10000);
  #timestamp = randomInt(0x1_0000_0000);
  readonly #ssrc = randomInt(0x1_0000_0000);
  #first: { ssrc: number; sequence: number; timestamp: number } | undefined;
  #highest = 0;
  #heard: Int16Array = new Int16Array(8000 * 10);
  #heardEnd = 0;
  #digits = '';
  #lastEvent = -1;
  #lastPacketAt = 0n;
  readonly #stats = { sent: 0, received: 0, odd: 0, longestGapMs: 0 };
  sending = true;

  private constructor(socket: Socket, options: RtpLineOptions) {
    this.socket = socket;
    this.law = options.law ?? 'PCMU';
    this.payloadType = this.law === 'PCMU' ? 0 : 8;
    this.#play = options.play === undefined ? undefined : encodeG711(this.law, options.play);
    this.#echo = options.echo ?? false;
    socket.on('message', (packet) => this.#receive(packet));
    socket.on('error', () => undefined); // ICMP of a far end that is gone; the statistics show it
  }

  static open(options: RtpLineOptions): Promise<RtpLine> {
    const socket = createSocket(options.ip.includes(':') ? 'udp6' : 'udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: options.ip, port: 0 }, () => {
        socket.removeListener('error', reject);
        resolve(new RtpLine(socket, options));
      });
    });
  }

  get port(): number {
    return this.socket.address().port;
  }

  /** Where it sends. */
  get remote(): { readonly ip: string; readonly port: number } | undefined {
    return this.#remote;
  }

  get statistics(): LineStatistics {
    const expected = this.#first === undefined ? 0 : this.#highest - this.#first.sequence + 1;
    return { ...this.#stats, lost: Math.max(0, expected - this.#stats.received), digits: this.#digits };
  }

  /** What was heard so far, 8 kHz, placed by RTP timestamps: a gap is silence. */
  heard(): Int16Array {
    return this.#heard.slice(0, this.#heardEnd);
  }

  setCodec(law: G711, payloadType: number, sound?: Int16Array): void {
    if (sound !== undefined && law !== this.law) this.#play = encodeG711(law, sound);
    this.law = law;
    this.payloadType = payloadType;
  }

  /** Begins (or goes on) sending to `remote`. */
  start(remote: { ip: string; port: number }): void {
    this.#remote = remote;
    if (this.#timer !== undefined) return;
    this.#startedAt = process.hrtime.bigint();
    this.#framesSent = 0;
    this.#timer = setInterval(() => this.#tick(), 10);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    try {
      this.socket.close();
    } catch {
      // closed already
    }
  }

  #tick(): void {
    const due = Number((process.hrtime.bigint() - this.#startedAt) / 20_000_000n);
    // A machine that slept does not send a burst: at most three frames at once.
    if (due - this.#framesSent > 3) this.#framesSent = due - 3;
    while (this.#framesSent < due) {
      this.#framesSent++;
      if (this.#play !== undefined && this.sending) this.#send(this.#nextFrame(this.#play), this.#timestamp);
      this.#timestamp = (this.#timestamp + FRAME) >>> 0;
    }
  }

  #nextFrame(sound: Uint8Array): Uint8Array {
    const frame = new Uint8Array(FRAME);
    for (let i = 0; i < FRAME; i++) frame[i] = sound[(this.#playAt + i) % sound.length]!;
    this.#playAt = (this.#playAt + FRAME) % sound.length;
    return frame;
  }

  #send(payload: Uint8Array, timestamp: number): void {
    if (this.#remote === undefined) return;
    const packet = Buffer.alloc(12 + payload.length);
    packet[0] = 0x80;
    packet[1] = this.payloadType | (this.#stats.sent === 0 ? 0x80 : 0);
    packet.writeUInt16BE(this.#sequence, 2);
    packet.writeUInt32BE(timestamp, 4);
    packet.writeUInt32BE(this.#ssrc, 8);
    packet.set(payload, 12);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#stats.sent++;
    this.socket.send(packet, this.#remote.port, this.#remote.ip, () => undefined);
  }

  #receive(packet: Buffer): void {
    if (packet.length < 13 || packet[0]! >> 6 !== 2) {
      this.#stats.odd++;
      return;
    }
    const payloadType = packet[1]! & 0x7f;
    if (payloadType === this.eventType) {
      this.#event(packet);
      return;
    }
    if (payloadType !== this.payloadType) {
      this.#stats.odd++;
      return;
    }
    const at = process.hrtime.bigint();
    if (this.#lastPacketAt > 0n) {
      this.#stats.longestGapMs = Math.max(this.#stats.longestGapMs, Number(at - this.#lastPacketAt) / 1e6);
    }
    this.#lastPacketAt = at;
    this.#stats.received++;
    this.#place(packet);
    if (this.#echo && this.sending) this.#send(packet.subarray(12), packet.readUInt32BE(4));
  }

  #place(packet: Buffer): void {
    const sequence = packet.readUInt16BE(2);
    const timestamp = packet.readUInt32BE(4);
    const ssrc = packet.readUInt32BE(8);
    if (this.#first === undefined || this.#first.ssrc !== ssrc) {
      this.#first = { ssrc, sequence, timestamp: (timestamp - this.#heardEnd) >>> 0 };
      this.#highest = sequence;
    }
    const extended = this.#highest + (((sequence - this.#highest) << 16) >> 16);
    if (extended > this.#highest) this.#highest = extended;
    const offset = (timestamp - this.#first.timestamp) | 0;
    const samples = decodeG711(this.law, packet.subarray(12));
    if (offset < 0 || offset + samples.length > MAX_HEARD) return;
    if (offset + samples.length > this.#heard.length) {
      const grown = new Int16Array(Math.max(offset + samples.length, 2 * this.#heard.length));
      grown.set(this.#heard);
      this.#heard = grown;
    }
    this.#heard.set(samples, offset);
    this.#heardEnd = Math.max(this.#heardEnd, offset + samples.length);
  }

  /** RFC 4733 2.3: one event may span many packets with one timestamp. */
  #event(packet: Buffer): void {
    const timestamp = packet.readUInt32BE(4);
    const event = packet[12]!;
    if (timestamp === this.#lastEvent || event >= DIGITS.length || this.#digits.length >= 64) return;
    this.#lastEvent = timestamp;
    this.#digits += DIGITS[event];
  }
}
