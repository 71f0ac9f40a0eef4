/**
 * One question to one name server: UDP from a fresh socket (so a random source port) with a random id and EDNS0; TCP where the
 * answer was cut short. Only an answer from the server asked, with the same id and question, counts (RFC 5452 9.1).
 */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import * as dns from 'dns-packet';
import type { Address } from '../machine/address.ts';
import type { Random } from '../machine/machine.ts';

export type RecordType = 'A' | 'AAAA' | 'SRV' | 'NAPTR';

export interface DnsResponse {
  readonly rcode: string;
  readonly answers: readonly dns.RawAnswer[];
  readonly authorities: readonly dns.RawAnswer[];
}

/** Rejects after `timeoutMs` or on a socket error; the message is one of a few words. */
export async function queryServer(
  server: Address,
  question: { readonly name: string; readonly type: RecordType },
  options: { readonly timeoutMs: number; readonly random: Random },
): Promise<DnsResponse> {
  const id = options.random.uint32() & 0xffff;
  const query = dns.encode({
    type: 'query',
    id,
    flags: dns.RECURSION_DESIRED,
    questions: [{ type: question.type, name: question.name }],
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0 }],
  });
  const accept = (bytes: Buffer): ReturnType<typeof dns.decode> | undefined => {
    const packet = decoded(bytes);
    const echoed = packet?.questions?.[0];
    if (packet === undefined || packet.type !== 'response' || packet.id !== id) return undefined;
    if (echoed?.type !== question.type || !sameName(echoed.name, question.name)) return undefined;
    return packet;
  };
  const packet = await overUdp(server, query, accept, options.timeoutMs);
  if ((packet.flags & dns.TRUNCATED_RESPONSE) === 0) return response(packet);
  return response(await overTcp(server, query, accept, options.timeoutMs));
}

type Accept = (bytes: Buffer) => ReturnType<typeof dns.decode> | undefined;
type Decoded = ReturnType<typeof dns.decode>;

function overUdp(server: Address, query: Buffer, accept: Accept, timeoutMs: number): Promise<Decoded> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(server.ip.includes(':') ? 'udp6' : 'udp4');
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      settle();
    };
    const timer = setTimeout(() => finish(() => reject(new Error('timeout'))), timeoutMs);
    socket.on('error', () => finish(() => reject(new Error('unreachable'))));
    // Connected: the kernel drops datagrams of everybody else, and tells of ICMP errors.
    socket.connect(server.port, server.ip, () => socket.send(query));
    socket.on('message', (bytes) => {
      const packet = accept(bytes);
      // A wrong answer is ignored, not believed to be the end of the wait.
      if (packet !== undefined) finish(() => resolve(packet));
    });
  });
}

function overTcp(server: Address, query: Buffer, accept: Accept, timeoutMs: number): Promise<Decoded> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server.ip, port: server.port });
    const parts: Buffer[] = [];
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const timer = setTimeout(() => finish(() => reject(new Error('timeout'))), timeoutMs);
    socket.on('error', () => finish(() => reject(new Error('unreachable'))));
    socket.on('end', () => finish(() => reject(new Error('unreachable'))));
    socket.on('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.length);
      socket.write(Buffer.concat([length, query]));
    });
    socket.on('data', (chunk) => {
      parts.push(chunk);
      const all = Buffer.concat(parts);
      if (all.length < 2 || all.length < 2 + all.readUInt16BE(0)) return;
      const packet = accept(all.subarray(2, 2 + all.readUInt16BE(0)));
      finish(() => (packet === undefined ? reject(new Error('malformed')) : resolve(packet)));
    });
  });
}

function decoded(bytes: Buffer): Decoded | undefined {
  try {
    return dns.decode(bytes);
  } catch {
    return undefined; // the library throws on octets that are no DNS message
  }
}

function response(packet: Decoded): DnsResponse {
  return {
    rcode: packet.rcode ?? 'SERVFAIL',
    answers: packet.answers ?? [],
    authorities: packet.authorities ?? [],
  };
}

/** Names compare without case and without a final dot (RFC 4343). */
export function sameName(a: string, b: string): boolean {
  return normalName(a) === normalName(b);
}

export function normalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
