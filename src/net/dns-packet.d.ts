/** The part of dns-packet (which brings no types) that is used here. */
declare module 'dns-packet' {
  export interface Question {
    readonly type: string;
    readonly name: string;
    readonly class?: string;
  }

  export interface RawAnswer {
    readonly type: string;
    readonly name: string;
    readonly ttl?: number;
    readonly class?: string;
    readonly data?: unknown;
    readonly udpPayloadSize?: number;
    readonly flags?: number;
  }

  export interface Packet {
    readonly type: 'query' | 'response';
    readonly id?: number;
    readonly flags?: number;
    readonly rcode?: string;
    readonly questions?: readonly Question[];
    readonly answers?: readonly RawAnswer[];
    readonly authorities?: readonly RawAnswer[];
    readonly additionals?: readonly RawAnswer[];
  }

  export const RECURSION_DESIRED: number;
  export const TRUNCATED_RESPONSE: number;
  export function encode(packet: Packet): Buffer;
  export function decode(bytes: Buffer): Packet & { readonly id: number; readonly flags: number };
}
