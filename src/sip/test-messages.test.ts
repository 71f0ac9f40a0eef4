/** Messages that the tests of this folder share. Not a test itself. */
import { latin1Bytes } from '../bytes/text.ts';

export const SOURCE = { ip: '192.0.2.77', port: 40_001 };

export interface MessageParts {
  readonly startLine?: string;
  /** Replaces the line of that name; '' leaves it out; other names are added. */
  readonly lines?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An INVITE, changed as asked; octet text. */
export function messageText(parts: MessageParts = {}): string {
  const { startLine = 'INVITE sip:alice@gw.example.net SIP/2.0', lines = {}, body = '' } = parts;
  const method = startLine.startsWith('SIP/') ? 'INVITE' : startLine.split(' ')[0]!;
  const table: Record<string, string> = {
    Via: 'SIP/2.0/UDP client.example.org:5062;branch=z9hG4bKabc',
    'Max-Forwards': '70',
    From: '"Bob" <sip:bob@client.example.org>;tag=b1',
    To: '<sip:alice@gw.example.net>',
    'Call-ID': 'call-1@client.example.org',
    CSeq: `1 ${method}`,
    ...lines,
    'Content-Length': lines['Content-Length'] ?? String(body.length),
  };
  const head = Object.entries(table).filter(([, value]) => value !== '');
  return `${[startLine, ...head.map(([name, value]) => `${name}: ${value}`)].join('\r\n')}\r\n\r\n${body}`;
}

export function messageBytes(parts: MessageParts = {}): Uint8Array {
  return latin1Bytes(messageText(parts));
}
