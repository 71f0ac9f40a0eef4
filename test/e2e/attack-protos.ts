/** INVITEs with one bad element each, in the spirit of OUSPG's c07-sip (the messages are our own). */
import { offer, type RequestOptions, unique } from './attack-sip.ts';

const LENGTHS = [1, 16, 64, 128, 255, 256, 257, 511, 1024, 2048, 4095, 8192, 16_384, 32_768];
const MORE_LENGTHS = [2, 4, 8, 32, 127, 129, 510, 512, 513, 1023, 1025, 4096, 4097, 20_000, 40_000, 50_000];

/** Values that have broken parsers. */
export function badValues(full: boolean): string[] {
  const lengths = full ? [...LENGTHS, ...MORE_LENGTHS] : LENGTHS.filter((_, i) => i % 3 === 0);
  return [
    ...lengths.map((n) => 'a'.repeat(n)),
    ...(full
      ? lengths.flatMap((n) => ['9', '/', '%', '"', '<', ' ', ';', ':', '@', '('].map((c) => c.repeat(n)))
      : []),
    '%s%s%s%n%n%n',
    '%.1024d',
    '%x'.repeat(200),
    '\u00c0\u00ae', // overlong UTF-8
    '\u00ff\u00fe',
    '\u00ed\u00a0\u0080', // a surrogate
    '\u00f4\u0090\u0080\u0080', // above U+10FFFF
    '\u0000',
    '-1',
    '0',
    '2147483648',
    '4294967296',
    '18446744073709551616',
    '1e309',
    '',
    ' ',
    '\t\t',
    '"',
    '<>',
    '[::::]',
    '../../../../etc/passwd',
    '\u001b[2J',
  ];
}

type Make = (over: Partial<RequestOptions>) => string;

/** Where a bad value goes. */
const FIELDS: readonly ((v: string, ip: string) => Partial<RequestOptions>)[] = [
  (v) => ({ method: v }),
  (v) => ({ uri: v }),
  (v) => ({ uri: `sip:${v}@127.0.0.1` }),
  (v) => ({ uri: `sip:998@${v}` }),
  (v) => ({ uri: `sip:998@127.0.0.1:${v}` }),
  (v) => ({ uri: `sip:998@127.0.0.1;${v}=${v}` }),
  (v, ip) => ({ via: `Via: SIP/2.0/UDP ${ip}:${v};branch=z9hG4bK${unique()}` }),
  (v) => ({ via: `Via: SIP/2.0/UDP ${v};branch=z9hG4bK${unique()};rport` }),
  (v, ip) => ({ via: `Via: SIP/2.0/${v} ${ip};branch=z9hG4bK${unique()};rport` }),
  (v) => ({ branch: v }),
  (v) => ({ from: `${v} <sip:a@b>` }),
  (v) => ({ from: `<sip:${v}@b>` }),
  (v) => ({ from: v }),
  (v) => ({ fromTag: v }),
  (v) => ({ to: v }),
  (v) => ({ toTag: v }),
  (v) => ({ callId: v }),
  (v) => ({ headers: [`CSeq: ${v} INVITE`] }),
  (v) => ({ headers: [`Max-Forwards: ${v}`] }),
  (v) => ({ headers: [`Expires: ${v}`, `Session-Expires: ${v}`] }),
  (v) => ({ headers: [`${v}: x`] }),
  (v) => ({ headers: [`Subject: ${v}`] }),
  (v) => ({ headers: [`Require: ${v}`] }),
  (v) => ({ headers: [`Authorization: Digest username="${v}", nonce=${v}, response=${v}`] }),
  (v) => ({ headers: [`Accept: ${v}/${v}`] }),
  (v) => ({ headers: [`Replaces: ${v};to-tag=${v};from-tag=${v}`] }),
  (v) => ({ contact: `Contact: ${v}` }),
  (v) => ({ contact: `Contact: <sip:${v}>` }),
  (v) => ({ contentType: v }),
  (v) => ({ contentType: `multipart/mixed;boundary="${v}"`, body: `--${v}\r\n\r\nx` }),
  (v, ip) => ({ body: offer(ip).replace('v=0', `v=${v}`) }),
  (v, ip) => ({ body: offer(ip).replace('o=- 1 1', `o=${v} ${v} ${v}`) }),
  (v) => ({ body: offer(v) }),
  (v, ip) => ({ body: offer(ip).replace('m=audio 40000', `m=${v} 40000`) }),
  (v, ip) => ({ body: offer(ip).replace('m=audio 40000', `m=audio ${v}`) }),
  (v, ip) => ({ body: offer(ip).replace('RTP/AVP 0 101', `RTP/AVP ${v}`) }),
  (v, ip) => ({ body: offer(ip).replace('PCMU/8000', `${v}/${v}`) }),
  (v, ip) => ({ body: offer(ip, 40_000, [`a=fmtp:101 ${v}`, `a=ptime:${v}`, `a=${v}`]) }),
  (v, ip) => ({
    body: offer(ip, 40_000, [`a=rtcp:${v}`, `a=crypto:1 ${v} inline:${v}`, `a=fingerprint:${v} ${v}`]),
  }),
];

export function* generatedInvites(make: Make, ip: string, full: boolean): Generator<string> {
  for (const value of badValues(full)) {
    for (const field of FIELDS) yield make(field(value, ip));
  }
}
