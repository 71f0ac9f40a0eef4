/** Fax pages: written as bilevel TIFF without compression, and read back from it (TIFF 6.0). `tiffcp` turns it into what a fax machine sends. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Rows of octets, a bit per dot, 1 black. */
export interface Page {
  /** Dots, a multiple of 8. */
  readonly width: number;
  readonly rows: readonly Uint8Array[];
}

/** T.4: an A4 line at 8 dots per millimetre. */
export const FAX_WIDTH = 1728;

/** A page that no other one is taken for: marks, lines and boxes that depend on `seed`. `height` in lines of 7.7 per millimetre. */
export function drawPage(height: number, seed: number): Page {
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
  const rows = Array.from({ length: height }, () => new Uint8Array(FAX_WIDTH / 8));
  for (let line = 20; line + 24 < height; line += 30) {
    for (let column = 10; column < 200; column += 2 + random(9)) {
      const glyph = Array.from({ length: 12 }, () => random(256));
      for (const [i, bits] of glyph.entries()) {
        rows[line + 2 * i]![column] = bits;
        rows[line + 2 * i + 1]![column] = bits;
      }
    }
    rows[line + 26]?.fill(0xff, 8, 8 + random(200));
  }
  return { width: FAX_WIDTH, rows };
}

const ENTRY = 12;

/** 204 by 196 dots per inch, one strip, black is 1. */
export function writeTiff(path: string, page: Page): void {
  const bits = Buffer.concat(page.rows);
  const [short, long, rational] = [3, 4, 5];
  const resolutions = 8 + bits.length;
  const directory = resolutions + 16;
  const entries: readonly (readonly [tag: number, type: number, value: number])[] = [
    [256, long, page.width],
    [257, long, page.rows.length],
    [258, short, 1], // bits per sample
    [259, short, 1], // no compression
    [262, short, 0], // white is 0
    [266, short, 1], // the left dot is the highest bit
    [273, long, 8], // the strip
    [277, short, 1], // samples per pixel
    [278, long, page.rows.length],
    [279, long, bits.length],
    [282, rational, resolutions],
    [283, rational, resolutions + 8],
    [296, short, 2], // inches
  ];
  const file = Buffer.alloc(directory + 2 + ENTRY * entries.length + 4);
  file.write('II*\0', 'latin1');
  file.writeUInt32LE(directory, 4);
  bits.copy(file, 8);
  for (const [i, value] of [204, 1, 196, 1].entries()) file.writeUInt32LE(value, resolutions + 4 * i);
  file.writeUInt16LE(entries.length, directory);
  for (const [i, [tag, type, value]] of entries.entries()) {
    const at = directory + 2 + ENTRY * i;
    file.writeUInt16LE(tag, at);
    file.writeUInt16LE(type, at + 2);
    file.writeUInt32LE(1, at + 4);
    file.writeUInt32LE(value, at + 8);
  }
  writeFileSync(path, file);
}

/** The first page of a file without compression, as `tiffcp -c none` writes it. */
export function readTiff(path: string): Page {
  const file = readFileSync(path);
  const little = file.toString('latin1', 0, 2) === 'II';
  const u16 = (at: number): number => (little ? file.readUInt16LE(at) : file.readUInt16BE(at));
  const u32 = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  const directory = u32(4);
  const tags = new Map<number, number[]>();
  for (let i = 0; i < u16(directory); i++) {
    const at = directory + 2 + ENTRY * i;
    const [tag, type, count] = [u16(at), u16(at + 2), u32(at + 4)];
    const octets = type === 3 ? 2 : 4;
    const from = octets * count > 4 ? u32(at + 8) : at + 8;
    if (type !== 3 && type !== 4) continue;
    tags.set(
      tag,
      Array.from({ length: count }, (_, n) => (octets === 2 ? u16(from + 2 * n) : u32(from + 4 * n))),
    );
  }
  const one = (tag: number, otherwise: number): number => tags.get(tag)?.[0] ?? otherwise;
  if (one(259, 1) !== 1 || one(258, 1) !== 1)
    throw new Error(`${path}: not a bilevel image without compression`);
  const width = one(256, 0);
  const invert = one(262, 0) === 1 ? 0xff : 0;
  const reversed = one(266, 1) === 2;
  const strips = (tags.get(273) ?? []).map((at, i) => file.subarray(at, at + (tags.get(279)?.[i] ?? 0)));
  const bits = Buffer.concat(strips);
  const stride = Math.ceil(width / 8);
  const rows = Array.from({ length: one(257, 0) }, (_, y) =>
    Uint8Array.from(bits.subarray(y * stride, (y + 1) * stride), (b) => (reversed ? mirror(b) : b) ^ invert),
  );
  return { width, rows };
}

function mirror(octet: number): number {
  let out = 0;
  for (let i = 0; i < 8; i++) out |= ((octet >> i) & 1) << (7 - i);
  return out;
}
