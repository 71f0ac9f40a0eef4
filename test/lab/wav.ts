/** Sound files: a tone to say, and the recordings of Asterisk and baresip, also those cut off before their header was completed. */
import { readFileSync, writeFileSync } from 'node:fs';

export interface Sound {
  readonly rate: number; // samples per second
  readonly samples: Float64Array; // first channel, -1..1
}

export function readWav(file: string): Sound {
  const data = readFileSync(file);
  if (data.length < 44 || data.toString('latin1', 0, 4) !== 'RIFF')
    throw new Error(`${file}: not a RIFF file`);
  let format = { code: 1, channels: 1, rate: 8000, bits: 16 };
  for (let at = 12; at + 8 <= data.length; ) {
    const id = data.toString('latin1', at, at + 4);
    const size = data.readUInt32LE(at + 4);
    const body = at + 8;
    if (id === 'fmt ') {
      format = {
        code: data.readUInt16LE(body),
        channels: data.readUInt16LE(body + 2),
        rate: data.readUInt32LE(body + 4),
        bits: data.readUInt16LE(body + 14),
      };
    }
    if (id === 'data') return { rate: format.rate, samples: decode(data, body, size, format) };
    at = body + size + (size & 1);
  }
  throw new Error(`${file}: no data chunk`);
}

function decode(
  data: Buffer,
  from: number,
  size: number,
  format: { code: number; channels: number; bits: number },
): Float64Array {
  // A writer that was killed leaves size 0: everything to the end of the file is sound.
  const end = size === 0 || from + size > data.length ? data.length : from + size;
  const step = (format.bits / 8) * format.channels;
  const samples = new Float64Array(Math.floor((end - from) / step));
  for (let i = 0; i < samples.length; i += 1) {
    const at = from + i * step;
    if (format.code === 3) samples[i] = format.bits === 64 ? data.readDoubleLE(at) : data.readFloatLE(at);
    else if (format.bits === 16) samples[i] = data.readInt16LE(at) / 32768;
    else throw new Error(`sound of ${format.bits} bits, format ${format.code}`);
  }
  return samples;
}

/** A sine of 8000 samples per second, 16 bit, at -10 dB of full scale. */
export function writeTone(file: string, frequency: number, seconds: number): void {
  const count = 8000 * seconds;
  const data = Buffer.alloc(44 + 2 * count);
  data.write('RIFF', 0, 'latin1');
  data.writeUInt32LE(36 + 2 * count, 4);
  data.write('WAVEfmt ', 8, 'latin1');
  data.writeUInt32LE(16, 16);
  data.writeUInt16LE(1, 20); // PCM
  data.writeUInt16LE(1, 22); // channels
  data.writeUInt32LE(8000, 24);
  data.writeUInt32LE(16_000, 28);
  data.writeUInt16LE(2, 32);
  data.writeUInt16LE(16, 34);
  data.write('data', 36, 'latin1');
  data.writeUInt32LE(2 * count, 40);
  for (let i = 0; i < count; i += 1) {
    data.writeInt16LE(Math.round(0.316 * 32767 * Math.sin((2 * Math.PI * frequency * i) / 8000)), 44 + 2 * i);
  }
  writeFileSync(file, data);
}
