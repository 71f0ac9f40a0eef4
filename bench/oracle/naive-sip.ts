/**
 * A plain SIP parser as one writes it in an afternoon: split at line ends, regular expressions, an object of headers.
 * The baseline of sip-parse, and its oracle for the fields of good messages. Checks nothing; not for use.
 */
export interface NaiveMessage {
  readonly startLine: string;
  readonly method: string;
  readonly uri: { readonly user: string; readonly host: string; readonly parameters: Record<string, string> };
  readonly headers: Record<string, string[]>;
  readonly vias: readonly { readonly host: string; readonly parameters: Record<string, string> }[];
  readonly from: NaiveAddress;
  readonly to: NaiveAddress;
  readonly cseq: { readonly number: number; readonly method: string };
  readonly body: string;
}

export interface NaiveAddress {
  readonly displayName: string;
  readonly user: string;
  readonly host: string;
  readonly parameters: Record<string, string>;
}

const LONG: Record<string, string> = {
  v: 'via',
  f: 'from',
  t: 'to',
  i: 'call-id',
  m: 'contact',
  l: 'content-length',
  c: 'content-type',
  k: 'supported',
};

export function naiveParse(bytes: Uint8Array): NaiveMessage {
  const text = new TextDecoder().decode(bytes);
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const lines = head.replace(/\r\n[ \t]+/g, ' ').split('\r\n');
  const startLine = lines[0] ?? '';
  const [method = '', requestUri = ''] = startLine.split(' ');
  const headers: Record<string, string[]> = {};
  for (const line of lines.slice(1)) {
    const match = /^([^:\s]+)\s*:\s*(.*?)\s*$/.exec(line);
    if (match === null) continue;
    const name = match[1]!.toLowerCase();
    const key = LONG[name] ?? name;
    headers[key] ??= [];
    headers[key].push(match[2]!);
  }
  const cseq = /^(\d+)\s+(\S+)$/.exec(headers['cseq']?.[0] ?? '');
  return {
    startLine,
    method,
    uri: uriOf(requestUri),
    headers,
    vias: (headers['via'] ?? []).flatMap((value) => value.split(/\s*,\s*/)).map(viaOf),
    from: addressOf(headers['from']?.[0] ?? ''),
    to: addressOf(headers['to']?.[0] ?? ''),
    cseq: { number: Number(cseq?.[1]), method: cseq?.[2] ?? '' },
    body: rest.join('\r\n\r\n').slice(0, Number(headers['content-length']?.[0] ?? 0)),
  };
}

function parametersOf(text: string): Record<string, string> {
  const out: Record<string, string> = {};
  for (const piece of text.split(';').filter(Boolean)) {
    const match = /^\s*([^=\s]+)\s*(?:=\s*"?([^"]*?)"?\s*)?$/.exec(piece);
    if (match !== null) out[match[1]!.toLowerCase()] = match[2] ?? '';
  }
  return out;
}

function uriOf(text: string): NaiveMessage['uri'] {
  const match = /^sips?:(?:([^@]*)@)?([^;?]+)(;[^?]*)?/i.exec(text);
  return {
    user: decodeURIComponent(match?.[1] ?? ''),
    host: match?.[2] ?? '',
    parameters: parametersOf(match?.[3] ?? ''),
  };
}

function addressOf(text: string): NaiveAddress {
  const match = /^\s*(?:"([^"]*)"|([^<]*?))\s*<([^>]+)>(.*)$/.exec(text);
  const uri = uriOf(match?.[3] ?? text);
  return {
    displayName: match?.[1] ?? match?.[2] ?? '',
    user: uri.user,
    host: uri.host,
    parameters: parametersOf(match?.[4] ?? ''),
  };
}

function viaOf(text: string): NaiveMessage['vias'][number] {
  const match = /^SIP\/2\.0\/(\w+)\s+([^;]+)(.*)$/i.exec(text);
  return { host: match?.[2] ?? '', parameters: parametersOf(match?.[3] ?? '') };
}
