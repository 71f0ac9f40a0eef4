/** SIP by hand: attackers do not use a stack that keeps them from doing wrong. Text is Latin-1, one character an octet. */
import { createHash } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { connect, type Socket as TcpSocket } from 'node:net';
import { GATEWAY, INSIDE, INSIDE_NUMBER, type Lab, sleep } from './attack-lab.ts';

export interface Target {
  readonly ip: string;
  readonly port: number;
}

/** How long an answer is waited for where one is expected, ms: the machine may be busy with other tests. */
const PATIENCE = 3000;

/** One UDP socket of an attacker; keeps what comes back. */
export class UdpAttacker {
  readonly ip: string;
  readonly port: number;
  readonly #socket: Socket;
  readonly #waiting = new Map<string, (response: string) => void>();
  readonly received: string[] = [];
  bytesReceived = 0;
  bytesSent = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.ip = socket.address().address;
    this.port = socket.address().port;
    socket.on('message', (bytes) => {
      this.bytesReceived += bytes.length;
      const text = bytes.toString('latin1');
      if (this.received.length < 100_000) this.received.push(text);
      if (statusOf(text) < 200) return;
      const waiting = this.#waiting.get(headerOf(text, 'call-id') ?? '') ?? this.#waiting.get('');
      waiting?.(text);
    });
    socket.on('error', () => undefined);
    socket.unref(); // a failed test must not keep the run alive
  }

  static bind(ip: string, port = 0): Promise<UdpAttacker> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, ip, () => {
        socket.removeListener('error', reject);
        resolve(new UdpAttacker(socket));
      });
    });
  }

  send(message: string | Uint8Array, to: Target): void {
    const bytes = typeof message === 'string' ? Buffer.from(message, 'latin1') : message;
    this.bytesSent += bytes.length;
    this.#socket.send(bytes, to.port, to.ip, () => undefined);
  }

  /** Sends and waits for the first final response to it (by CSeq and Call-ID where readable); 0: silence. */
  async ask(message: string, to: Target, ms = PATIENCE): Promise<number> {
    const response = await this.answer(message, to, ms);
    return response === undefined ? 0 : statusOf(response);
  }

  /** As an honest client asks: again after 0.5, 1.5 and 3.5 s (RFC 3261 17.1.2.2). */
  async askPolitely(message: string, to: Target): Promise<number> {
    const repeats = [500, 1500, 3500].map((ms) => setTimeout(() => this.send(message, to), ms));
    const status = await this.ask(message, to, 10_000);
    for (const timer of repeats) clearTimeout(timer);
    return status;
  }

  /** The first final response to what is sent; by Call-ID, where it has one. */
  answer(message: string, to: Target, ms = PATIENCE): Promise<string | undefined> {
    const callId = headerOf(message, 'call-id') ?? '';
    return new Promise((resolve) => {
      const done = (response: string | undefined): void => {
        clearTimeout(timer);
        if (this.#waiting.get(callId) === done) this.#waiting.delete(callId);
        resolve(response);
      };
      const timer = setTimeout(() => done(undefined), ms);
      this.#waiting.set(callId, done);
      this.send(message, to);
    });
  }

  close(): void {
    this.#socket.close();
  }
}

export class TcpAttacker {
  readonly socket: TcpSocket;
  received = '';
  closed = false;

  private constructor(socket: TcpSocket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      if (this.received.length < 4_000_000) this.received += bytes.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
    });
  }

  /** Resolves when connected, or refused (then `closed`). */
  static async connect(from: string, to: Target): Promise<TcpAttacker> {
    const socket = connect({ host: to.ip, port: to.port, localAddress: from });
    const attacker = new TcpAttacker(socket);
    await new Promise<void>((resolve) => {
      socket.once('connect', () => resolve());
      socket.once('close', () => resolve());
    });
    return attacker;
  }

  send(text: string): void {
    if (!this.closed) this.socket.write(Buffer.from(text, 'latin1'));
  }

  async statuses(ms = 500): Promise<number[]> {
    await sleep(ms);
    return [...this.received.matchAll(/(?:^|\n)SIP\/2\.0 (\d{3})/g)].map((m) => Number(m[1]));
  }

  close(): void {
    this.socket.destroy();
  }
}

export function statusOf(message: string): number {
  return Number(/^SIP\/2\.0 (\d{3})/.exec(message)?.[1] ?? 0);
}

/** First value of a header line, of the head only. */
export function headerOf(message: string, name: string): string | undefined {
  const head = message.slice(0, (message.indexOf('\r\n\r\n') + message.length + 1) % (message.length + 1));
  return new RegExp(`(?:^|\\n)${name}[ \\t]*:[ \\t]*([^\\r\\n]*)`, 'i').exec(head)?.[1];
}

let serial = Math.floor(Date.now() % 1e9);
export function unique(): string {
  serial++;
  return `x${serial.toString(36)}${Math.random().toString(36).slice(2, 8)}`;
}

export interface RequestOptions {
  readonly method?: string;
  readonly uri?: string;
  readonly target: Target;
  /** Where the sender is: Via and Contact. */
  readonly at: Target;
  readonly user?: string;
  readonly from?: string;
  readonly fromTag?: string;
  readonly to?: string;
  readonly toTag?: string;
  readonly callId?: string;
  readonly cseq?: number;
  readonly branch?: string;
  readonly via?: string;
  readonly contact?: string;
  readonly transport?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly contentType?: string;
}

/** A well-formed request unless told otherwise. */
export function request(o: RequestOptions): string {
  const method = o.method ?? 'OPTIONS';
  const uri = o.uri ?? `sip:${o.user ?? '601'}@${o.target.ip}:${o.target.port}`;
  const body = o.body ?? '';
  const lines = [
    `${method} ${uri} SIP/2.0`,
    o.via ??
      `Via: SIP/2.0/${o.transport ?? 'UDP'} ${o.at.ip}:${o.at.port};branch=z9hG4bK${o.branch ?? unique()};rport`,
    'Max-Forwards: 70',
    `From: ${o.from ?? '<sip:4917012345@evil.example>'};tag=${o.fromTag ?? unique()}`,
    `To: ${o.to ?? `<sip:${o.user ?? '601'}@${o.target.ip}>`}${o.toTag === undefined ? '' : `;tag=${o.toTag}`}`,
    `Call-ID: ${o.callId ?? unique()}`,
    `CSeq: ${o.cseq ?? 1} ${method}`,
    o.contact ?? `Contact: <sip:mallory@${o.at.ip}:${o.at.port}>`,
    ...(o.headers ?? []),
    ...(body === '' ? [] : [`Content-Type: ${o.contentType ?? 'application/sdp'}`]),
    `Content-Length: ${body.length}`,
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** A new call of the PBX's neighbour inside, by way of GW1, to `number`; its own media at `mediaPort`. */
export function callFromInside(lab: Lab, number: string, mediaPort: number): void {
  const target = { ip: GATEWAY, port: lab.ports.gw1 };
  const invite = request({
    method: 'INVITE',
    uri: `sip:${number}@${GATEWAY}`,
    target,
    at: lab.inside,
    from: `<sip:${INSIDE_NUMBER}@${INSIDE}>`,
    body: offer(lab.inside.ip, mediaPort),
  });
  lab.inside.send(invite, target);
}

export function offer(ip: string, port = 40_000, more: readonly string[] = []): string {
  return [
    'v=0',
    `o=- 1 1 IN IP4 ${ip}`,
    's=-',
    `c=IN IP4 ${ip}`,
    't=0 0',
    `m=audio ${port} RTP/AVP 0 101`,
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:101 telephone-event/8000',
    ...more,
    '',
  ].join('\r\n');
}

/** The ACK of a non-2xx, or of a 2xx with `branch` fresh. */
export function ackOf(invite: string, response: string, fresh: boolean): string {
  const uri = /^\S+ (\S+) /.exec(invite)?.[1] ?? '';
  const via = headerOf(invite, 'via') ?? '';
  const cseq = Number.parseInt(headerOf(invite, 'cseq') ?? '1', 10);
  return [
    `ACK ${uri} SIP/2.0`,
    `Via: ${fresh ? via.replace(/branch=[^;]+/, `branch=z9hG4bK${unique()}`) : via}`,
    'Max-Forwards: 70',
    `From: ${headerOf(invite, 'from')}`,
    `To: ${headerOf(response, 'to')}`,
    `Call-ID: ${headerOf(invite, 'call-id')}`,
    `CSeq: ${cseq} ACK`,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}

export interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  readonly algorithm: string;
}

export function challengeOf(response: string, algorithm = 'SHA-256'): Challenge | undefined {
  for (const [, value = ''] of response.matchAll(/\n(?:WWW|Proxy)-Authenticate:[ ]*([^\r\n]*)/gi)) {
    const get = (name: string): string => new RegExp(`${name}="?([^",]+)`, 'i').exec(value)?.[1] ?? '';
    if ((get('algorithm') || 'MD5') === algorithm)
      return { realm: get('realm'), nonce: get('nonce'), algorithm };
  }
  return undefined;
}

export interface ProofOptions {
  readonly username: string;
  readonly password: string;
  readonly method: string;
  readonly uri: string;
  readonly nc?: number;
}

/** An Authorization header line (RFC 7616), computed here and not by the gateway's code. */
export function authorization(challenge: Challenge, o: ProofOptions): string {
  const { realm, nonce, algorithm } = challenge;
  const h = (text: string): string =>
    createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
      .update(text, 'latin1')
      .digest('hex');
  const nc = (o.nc ?? 1).toString(16).padStart(8, '0');
  const cnonce = 'abcdef01';
  const response = h(
    `${h(`${o.username}:${realm}:${o.password}`)}:${nonce}:${nc}:${cnonce}:auth:${h(`${o.method}:${o.uri}`)}`,
  );
  return (
    `Authorization: Digest username="${o.username}", realm="${realm}", nonce="${nonce}", uri="${o.uri}", ` +
    `response="${response}", algorithm=${algorithm}, qop=auth, nc=${nc}, cnonce="${cnonce}"`
  );
}
