/**
 * Captures on every link, and what is looked for in them: strings (as they are, reassembled, decrypted, in base64, in hex
 * and in UTF-16) and addresses (as text and as octets). The TLS of the gateways is decrypted with the key log that Node
 * writes when told to: what crosses inside the tunnel is searched as well.
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { textToOctets } from './ip-text.ts';
import { type Packet, readCapture, tcpStreams } from './packets.ts';
import { type Background, run, sleep, until } from './run.ts';
import { type LinkName, link, spawnInside } from './topology.ts';

export class Capture {
  readonly link: LinkName;
  readonly file: string;
  readonly #process: Background;

  private constructor(name: LinkName, file: string, process: Background) {
    this.link = name;
    this.file = file;
    this.#process = process;
  }

  static async start(name: LinkName, folder: string): Promise<Capture> {
    const { place, device } = link[name];
    const file = join(folder, `${name}.pcap`);
    const process = spawnInside(place, `dumpcap ${name}`, 'dumpcap', [
      '-q',
      '-P',
      '-i',
      device,
      '-s',
      '0',
      '-B',
      '16',
      '-w',
      file,
    ]);
    await until(`capture on ${name}`, 8000, () => {
      if (!process.running) throw new Error(`dumpcap: ${process.output}`);
      return process.output.includes('Capturing on') && existsSync(file) && statSync(file).size >= 24;
    });
    return new Capture(name, file, process);
  }

  static all(folder: string): Promise<Capture[]> {
    return Promise.all((Object.keys(link) as LinkName[]).map((name) => Capture.start(name, folder)));
  }

  /** Ends it, after what is on its way has been written. */
  async stop(): Promise<void> {
    if (this.#process.running) await sleep(1200); // dumpcap writes once a second
    await this.#process.stop('SIGINT');
    const dropped = /(\d+) packets? dropped/.exec(this.#process.output);
    if (dropped !== null && Number(dropped[1]) > 0) throw new Error(`capture ${this.link}: ${dropped[0]}`);
  }

  packets(): Packet[] {
    return readCapture(this.file);
  }
}

/** A text in which needles are looked for, and where it is from. */
export interface Haystack {
  readonly where: string;
  readonly data: Buffer;
}

/** Every byte of a capture: the file as it is, and each TCP direction put together. With a key log: what TLS carried, too. */
export function haystacks(file: string, keyLog?: string): Haystack[] {
  const packets = readCapture(file);
  const all: Haystack[] = packets.map((p) => ({
    where: `${file} ${p.source}:${p.sourcePort} > ${p.destination}:${p.destinationPort}`,
    data: p.payload,
  }));
  for (const [key, data] of tcpStreams(packets)) all.push({ where: `${file} ${key}`, data });
  if (keyLog !== undefined) all.push(...decrypted(file, keyLog));
  return all;
}

const TLS_PORTS = [5061, 7060, 7061];

/** The clear text of every TLS connection of a capture; each direction of each as one haystack. */
export function decrypted(file: string, keyLog: string): Haystack[] {
  const options = [
    '-r',
    file,
    '-o',
    `tls.keylog_file:${keyLog}`,
    ...TLS_PORTS.flatMap((port) => ['-d', `tcp.port==${port},tls`]),
  ];
  const listed = run('tshark', [
    ...options,
    '-Y',
    'tls.handshake.type==1',
    '-T',
    'fields',
    '-e',
    'tcp.stream',
  ]);
  const found: Haystack[] = [];
  for (const stream of new Set(listed.split('\n').filter(Boolean))) {
    const text = run('tshark', [...options, '-q', '-z', `follow,tls,raw,${stream}`]);
    const nodes = [...text.matchAll(/^Node \d: (.*)$/gm)].map((m) => m[1]);
    const lines = text.split('\n').filter((line) => /^\t?[0-9a-f]+$/.test(line));
    for (const [index, mine] of [
      lines.filter((l) => !l.startsWith('\t')),
      lines.filter((l) => l.startsWith('\t')),
    ].entries()) {
      const data = Buffer.from(mine.map((l) => l.trim()).join(''), 'hex');
      if (data.length > 0)
        found.push({ where: `${file} decrypted, from ${nodes[index] ?? `node ${index}`}`, data });
    }
  }
  return found;
}

export interface Finding {
  readonly needle: string;
  readonly form: string;
  readonly where: string;
  readonly context: string;
}

/** Looks for texts (at least 5 characters, case ignored) in every form that a careless gateway could let pass. */
export function findTexts(stacks: readonly Haystack[], needles: readonly string[]): Finding[] {
  const forms = needles.flatMap((needle) => formsOf(needle).map(([form, text]) => ({ needle, form, text })));
  const found: Finding[] = [];
  for (const { where, data } of stacks) {
    if (data.length === 0) continue;
    const exact = data.toString('latin1');
    const lower = exact.toLowerCase();
    for (const { needle, form, text } of forms) {
      const at = (form === 'base64' ? exact : lower).indexOf(text);
      if (at >= 0)
        found.push({
          needle,
          form,
          where,
          context: exact.slice(Math.max(0, at - 60), at + text.length + 40).replace(/[^ -~]/g, '.'),
        });
    }
  }
  return found;
}

function formsOf(needle: string): (readonly [string, string])[] {
  if (needle.length < 5) throw new Error(`"${needle}" is too short to be looked for`);
  const lower = needle.toLowerCase();
  const bytes = Buffer.from(needle, 'latin1');
  const base64 = [0, 1, 2].map((shift) => {
    // the characters that do not depend on what stands before and after
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    return text.slice(shift === 0 ? 0 : shift + 1, Math.floor(((shift + bytes.length) * 8) / 6));
  });
  return [
    ['text', lower],
    ['UTF-16', [...lower].join('\0')],
    ['hex', bytes.toString('hex')],
    ...base64.map((text) => ['base64', text] as const),
  ];
}

/** Looks for addresses as octets in payloads (not in the IP headers) and in the usual texts. */
export function findAddresses(stacks: readonly Haystack[], addresses: readonly string[]): Finding[] {
  const found = findTexts(stacks, addresses.flatMap(spellings));
  for (const { where, data } of stacks) {
    for (const address of addresses) {
      const octets = textToOctets(address);
      const at = data.indexOf(octets);
      if (at >= 0)
        found.push({
          needle: address,
          form: 'octets',
          where,
          context: data.subarray(Math.max(0, at - 16), at + 20).toString('hex'),
        });
    }
  }
  return found;
}

function spellings(address: string): string[] {
  const octets = textToOctets(address);
  if (octets.length === 4) return [address];
  const groups = Array.from({ length: 8 }, (_, i) => octets.readUInt16BE(2 * i).toString(16));
  return [address, groups.join(':'), groups.map((g) => g.padStart(4, '0')).join(':')];
}

export function describe(findings: readonly Finding[]): string {
  return findings
    .slice(0, 12)
    .map((f) => `${f.needle} (${f.form}) in ${f.where}: ${f.context}`)
    .join('\n');
}
