/** A SIP neighbour that keeps every byte it is sent: what an attack could bring to it is looked for in there. */
import { createSocket, type Socket } from 'node:dgram';

/** What it does with INVITE: takes the call, lets it ring, or asks for credentials of a realm. */
export type Reaction = 'answer' | 'ring' | { readonly challenge: string };

export class RecordingPbx {
  reaction: Reaction = 'answer';
  readonly #socket: Socket;
  readonly ip: string;
  readonly #rtp: Socket;
  /** Everything received, as Latin-1 text, newest last. */
  readonly received: string[] = [];
  /** RTP and other datagrams at the media port. */
  media = 0;
  readonly #last = { from: { address: '', port: 0 }, invite: '', ok: '' };

  /** Waits until nothing has come for 400 ms: what earlier calls still had to say is over. Then how much there is. */
  async settled(): Promise<number> {
    for (let rounds = 0; rounds < 25; rounds++) {
      const before = this.received.length;
      await new Promise((resolve) => setTimeout(resolve, 400));
      if (this.received.length === before) break;
    }
    return this.received.length;
  }

  private constructor(ip: string, socket: Socket, rtp: Socket) {
    this.ip = ip;
    this.#socket = socket;
    this.#rtp = rtp;
    socket.on('message', (bytes, from) => {
      const text = bytes.toString('latin1');
      if (this.received.length < 20_000) this.received.push(text);
      for (const answer of this.#answers(text)) {
        if (text.startsWith('INVITE ')) Object.assign(this.#last, { from, invite: text, ok: answer });
        socket.send(Buffer.from(answer, 'latin1'), from.port, from.address, () => undefined);
      }
    });
    rtp.on('message', () => {
      this.media++;
    });
  }

  static async start(at: { readonly ip: string; readonly port: number }): Promise<RecordingPbx> {
    return new RecordingPbx(at.ip, await bind(at.ip, at.port), await bind(at.ip, 0));
  }

  stop(): void {
    this.#socket.close();
    this.#rtp.close();
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** The last INVITE and our last response to it. */
  get last(): { readonly invite: string; readonly ok: string } {
    return this.#last;
  }

  /** Ends the last call it took. */
  hangUp(): void {
    const { from, invite, ok } = this.#last;
    const value = (text: string, name: string): string =>
      new RegExp(`\\r\\n${name}: *([^\\r\\n]*)`, 'i').exec(text)?.[1] ?? '';
    const target = /<([^>]*)>/.exec(value(invite, 'Contact'))?.[1] ?? '';
    const bye = [
      `BYE ${target} SIP/2.0`,
      `Via: SIP/2.0/UDP ${this.ip}:${this.port};branch=z9hG4bKbye${this.received.length}`,
      'Max-Forwards: 70',
      `From: ${value(ok, 'To')}`,
      `To: ${value(invite, 'From')}`,
      `Call-ID: ${value(invite, 'Call-ID')}`,
      'CSeq: 100 BYE',
      'Content-Length: 0',
      '',
      '',
    ];
    this.send(bye.join('\r\n'), { ip: from.address, port: from.port });
  }

  send(text: string, to: { readonly ip: string; readonly port: number }): void {
    this.#socket.send(Buffer.from(text, 'latin1'), to.port, to.ip, () => undefined);
  }

  /** Requests of a method received since `from` (an earlier `received.length`). */
  requests(method: string, from = 0): string[] {
    return this.received.slice(from).filter((text) => text.startsWith(`${method} `));
  }

  /** Calls by `reaction`, everything else with 200. */
  #answers(text: string): string[] {
    const method = /^([A-Z]+) \S+ SIP\/2\.0\r\n/.exec(text)?.[1];
    if (method === undefined || method === 'ACK') return [];
    const lines = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n');
    const of = (name: string): string[] => lines.filter((l) => l.toLowerCase().startsWith(`${name}:`));
    const to = of('to')[0] ?? 'To: <sip:x@invalid>';
    const tagged = /;tag=/.test(to) ? to : `${to};tag=inside${this.received.length}`;
    const head = (status: string): string[] => [
      `SIP/2.0 ${status}`,
      ...of('via'),
      ...of('from'),
      tagged,
      ...of('call-id'),
      ...of('cseq'),
      `Contact: <sip:${this.ip}:${this.port}>`,
      'Server: SecretPBX 9.9 (pbx7.corp.internal)',
    ];
    if (method !== 'INVITE') return [[...head('200 OK'), 'Content-Length: 0', '', ''].join('\r\n')];
    if (typeof this.reaction === 'object') {
      const challenge = `Proxy-Authenticate: Digest realm="${this.reaction.challenge}", nonce="n1", algorithm=MD5, qop="auth"`;
      return [
        [...head('407 Proxy Authentication Required'), challenge, 'Content-Length: 0', '', ''].join('\r\n'),
      ];
    }
    const ringing = [...head('180 Ringing'), 'Content-Length: 0', '', ''].join('\r\n');
    if (this.reaction === 'ring') return [ringing];
    const sdp = [
      'v=0',
      `o=- 1 1 IN IP4 ${this.ip}`,
      's=SecretPBX',
      `c=IN IP4 ${this.ip}`,
      't=0 0',
      `m=audio ${this.#rtp.address().port} RTP/AVP 0`,
      'a=rtpmap:0 PCMU/8000',
      '',
    ].join('\r\n');
    return [
      ringing,
      [...head('200 OK'), 'Content-Type: application/sdp', `Content-Length: ${sdp.length}`, '', sdp].join(
        '\r\n',
      ),
    ];
  }
}

function bind(ip: string, port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, ip, () => {
      socket.removeListener('error', reject);
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}
