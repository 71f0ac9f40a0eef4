/** tshark's dissection of our own encodings, and the comparison with the values we encoded. */
import { Buffer } from 'node:buffer';
import { toHex } from '../../src/bytes/text.ts';
import { oidOctets } from '../../src/h323/per/oid.ts';

/** One field of tshark's tree, `per.` internals left out. */
export interface ShownField {
  /** Name as shown, without hyphens, underscores, blanks and `item`, in lower case. */
  readonly label: string;
  readonly shown: string;
  readonly show: string;
  readonly hex: string;
}

const FIELD = /<field name="([^"]*)"(?: showname="([^"]*)")?[^>]*? show="([^"]*)"(?: value="([^"]*)")?/g;

const plain = (name: string): string =>
  name
    .replace(/ item$/, '')
    .replace(/[-_ ]/g, '')
    .toLowerCase();

/** Fields of every packet of a PDML document; `malformed` lists what tshark complains about. */
export function shownPackets(pdml: string): { fields: ShownField[]; malformed: string[] }[] {
  return pdml
    .split('<packet>')
    .slice(1)
    .map((packet) => {
      const all = [...packet.matchAll(FIELD)].map(([, name, showname, show, value]) => ({
        name: name!,
        text: unescaped(showname ?? show!).replace(/^[01]*\.[01. ]* (?:= )?/, ''),
        show: unescaped(show!),
        hex: value ?? '',
      }));
      const malformed = all.filter((f) => /^_ws\.(malformed|expert)/.test(f.name)).map((f) => f.text);
      const fields = all
        .filter((f) => /^h?(225|245|235|4501)|^h(225|245|235)\.|^$/.test(f.name))
        .map(({ text, show, hex }) => {
          const [label, ...rest] = text.split(': ');
          return { label: plain(label!), shown: rest.join(': '), show, hex };
        });
      return {
        fields,
        malformed: [...malformed, ...(packet.includes('proto name="_ws.malformed"') ? ['malformed'] : [])],
      };
    });
}

function unescaped(text: string): string {
  const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"' };
  return text.replace(/&(?:(lt|gt|amp|quot)|#x([0-9a-f]+));/g, (_, name?: string, hex = '') =>
    name === undefined ? String.fromCharCode(Number.parseInt(hex, 16)) : entities[name]!,
  );
}

interface Expected {
  readonly path: string;
  readonly label: string;
  matches(field: ShownField): boolean;
}

/** What tshark should show of a value, in order. */
export function expectedFields(name: string, value: unknown, path = name): Expected[] {
  const label = plain(name);
  const one = (matches: (field: ShownField) => boolean): Expected => ({ path, label, matches });
  if (value === null) return [one(() => true)];
  if (typeof value === 'boolean') return [one((f) => f.shown.startsWith(value ? 'True' : 'False'))];
  if (typeof value === 'number' || typeof value === 'bigint') {
    const time = (f: ShownField): boolean => f.show.endsWith('UTC') && Date.parse(f.show) / 1000 === value;
    return [one((f) => f.show === String(value) || f.shown.startsWith(`${value}`) || time(f))];
  }
  if (typeof value === 'string') {
    const visible = value.split('\0')[0]!; // a peer's NUL ends what is shown
    const octets = oidOctets(value); // tshark calls arcs above 32 bits malformed, and shows the octets
    const long = octets === undefined ? '-' : toHex(octets);
    const latin1 = Buffer.from(value, 'latin1').toString('hex');
    const hexes = [long, latin1];
    return [one((f) => f.show === visible || f.shown.startsWith(visible) || hexes.includes(f.hex))];
  }
  if (value instanceof Uint8Array) return [one((f) => f.hex === toHex(value))];
  if (Array.isArray(value)) {
    const head = one((f) => f.shown.startsWith(`${value.length} item`));
    return [head, ...value.flatMap((item, i) => expectedFields('', item, `${path}[${i}]`))];
  }
  const part = value as { choice?: unknown; value?: unknown; bits?: unknown; bytes?: unknown };
  if (typeof part.choice === 'string') {
    const { choice } = part;
    const head = one((f) => plain(f.shown).startsWith(plain(choice)));
    return [head, ...expectedFields(choice, part.value, `${path}.${choice}`)];
  }
  if (typeof part.bits === 'number' && part.bytes instanceof Uint8Array) {
    const hex = toHex(part.bytes);
    return hex === '' ? [] : [one((f) => f.hex.includes(hex))]; // an empty one is not shown
  }
  const head = name === '' ? [] : [one(() => true)];
  return [
    ...head,
    ...Object.entries(value as object).flatMap(([k, v]) => expectedFields(k, v, `${path}.${k}`)),
  ];
}

/** The first of ours that tshark does not show at its place; what it shows beyond is its own dissection of octet strings. */
export function firstUnshown(
  expected: readonly Expected[],
  fields: readonly ShownField[],
): string | undefined {
  let at = 0;
  for (const want of expected) {
    const from = at;
    while (at < fields.length && !isShown(want, fields[at]!)) at++;
    if (at === fields.length) return `${want.path}, after ${JSON.stringify(fields.slice(from, from + 3))}`;
    at++;
  }
  return undefined;
}

/** Elements of a list have a label of their own. */
function isShown(want: Expected, field: ShownField): boolean {
  return (want.label === '' || field.label === want.label) && want.matches(field);
}

/** A capture file (pcap, raw IPv4): each payload is a datagram, or a TCP segment of a connection of its own. */
export function captureOf(
  packets: readonly {
    readonly transport: 'udp' | 'tcp';
    readonly port: number;
    readonly payload: Uint8Array;
  }[],
): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(0x4_0000, 16);
  head.writeUInt32LE(101, 20); // LINKTYPE_RAW
  const frames = packets.flatMap(({ transport, port, payload }, index) => {
    const header = Buffer.alloc(transport === 'udp' ? 8 : 20);
    header.writeUInt16BE(20_000 + index, 0);
    header.writeUInt16BE(port, 2);
    if (transport === 'udp') {
      header.writeUInt16BE(8 + payload.length, 4);
    } else {
      header.writeUInt32BE(1, 4);
      header[12] = 0x50;
      header[13] = 0x18; // PSH ACK
      header.writeUInt16BE(0xffff, 14);
    }
    const ip = Buffer.alloc(20);
    ip[0] = 0x45;
    ip.writeUInt16BE(20 + header.length + payload.length, 2);
    ip[8] = 64;
    ip[9] = transport === 'udp' ? 17 : 6;
    ip.set([127, 0, 0, 1, 127, 0, 0, 1], 12);
    const frame = Buffer.concat([ip, header, payload]);
    const record = Buffer.alloc(16);
    record.writeUInt32LE(index, 0);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return [record, frame];
  });
  return Buffer.concat([head, ...frames]);
}
