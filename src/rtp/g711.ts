/** ITU-T G.711 by table: 8-bit codes to 16-bit linear samples and back. */

export const ULAW_SILENCE = 0xff;
export const ALAW_SILENCE = 0xd5;

const ULAW = new Int16Array(256);
const ALAW = new Int16Array(256);
const TO_ULAW = new Uint8Array(65536);
const TO_ALAW = new Uint8Array(65536);

for (let code = 0; code < 256; code++) {
  ULAW[code] = expandUlaw(code);
  ALAW[code] = expandAlaw(code);
}
for (let sample = -32768; sample < 32768; sample++) {
  TO_ULAW[sample & 0xffff] = compressUlaw(sample);
  TO_ALAW[sample & 0xffff] = compressAlaw(sample);
}

function expandUlaw(code: number): number {
  const bits = ~code & 0xff;
  const magnitude = ((((bits & 15) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
  return (bits & 0x80) !== 0 ? -magnitude : magnitude;
}

function expandAlaw(code: number): number {
  const bits = code ^ 0x55;
  const exponent = (bits >> 4) & 7;
  let magnitude = ((bits & 15) << 4) + 8;
  if (exponent > 0) magnitude = (magnitude + 0x100) << (exponent - 1);
  return (bits & 0x80) !== 0 ? magnitude : -magnitude;
}

function compressUlaw(sample: number): number {
  const magnitude = Math.min(32635, Math.abs(sample)) + 0x84;
  const exponent = 24 - Math.clz32(magnitude);
  const bits = (exponent << 4) | ((magnitude >> (exponent + 3)) & 15);
  return ~(sample < 0 ? 0x80 | bits : bits) & 0xff;
}

function compressAlaw(sample: number): number {
  const magnitude = Math.min(32767, sample < 0 ? -sample - 1 : sample);
  const exponent = magnitude < 256 ? 0 : 24 - Math.clz32(magnitude);
  const mantissa = exponent === 0 ? magnitude >> 4 : magnitude >> (exponent + 3);
  const bits = (exponent << 4) | (mantissa & 15);
  return (sample < 0 ? bits : 0x80 | bits) ^ 0x55;
}

export function ulawToLinear(code: number): number {
  return ULAW[code & 0xff]!;
}

export function alawToLinear(code: number): number {
  return ALAW[code & 0xff]!;
}

/** `sample` -32768 .. 32767. */
export function linearToUlaw(sample: number): number {
  return TO_ULAW[sample & 0xffff]!;
}

export function linearToAlaw(sample: number): number {
  return TO_ALAW[sample & 0xffff]!;
}

export type G711 = 'PCMU' | 'PCMA';

export function encodeG711(law: G711, samples: Int16Array): Uint8Array {
  const table = law === 'PCMU' ? TO_ULAW : TO_ALAW;
  return Uint8Array.from(samples, (s) => table[s & 0xffff]!);
}

export function decodeG711(law: G711, codes: Uint8Array): Int16Array {
  const table = law === 'PCMU' ? ULAW : ALAW;
  return Int16Array.from(codes, (c) => table[c]!);
}
