/** Reference encodings: our own set in test/vectors/h323, and all captures and vectors where they lie beside the repository. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CONTROL_MESSAGE, RAS_MESSAGE, USER_INFORMATION } from '../../src/h323/messages.ts';
import type { PerType } from '../../src/h323/per/compile.ts';

export interface Reference {
  readonly name: string;
  readonly type: string;
  readonly hex: string;
  /** ASN.1 value notation written by another decoder; absent where there is none. */
  readonly value?: string;
}

/** The types reference encodings come in. */
export const REFERENCE_TYPES: Readonly<Record<string, PerType<unknown>>> = {
  'H323-UserInformation': USER_INFORMATION,
  RasMessage: RAS_MESSAGE,
  MultimediaSystemControlMessage: CONTROL_MESSAGE,
};

const ROOT = new URL('../../../', import.meta.url);
export const CAPTURES = fileURLToPath(new URL('../shared/h323/captures/', ROOT));
export const capturesAbsent = existsSync(CAPTURES) ? false : 'no ../shared/h323 here';

/** test/vectors/h323/NAME.json. */
export function ownVectors(name: string): Reference[] {
  return JSON.parse(readFileSync(new URL(`test/vectors/h323/${name}.json`, ROOT), 'utf8')) as Reference[];
}

const TYPE_OF_LAYER: Readonly<Record<string, string>> = {
  cs: 'H323-UserInformation',
  ras: 'RasMessage',
  'ras-tunnelled': 'RasMessage',
  h245: 'MultimediaSystemControlMessage',
  'h245-tunnelled': 'MultimediaSystemControlMessage',
};

/** Every PDU of the captures: dissect/*.pdus.tsv. */
export function capturedPdus(): Reference[] {
  const folder = `${CAPTURES}dissect/`;
  return readdirSync(folder)
    .filter((f) => f.endsWith('.pdus.tsv'))
    .flatMap((file) =>
      rows(`${folder}${file}`).map((columns) => ({
        name: `${file.replace('.pdus.tsv', '')} frame ${columns[0]}`,
        type: TYPE_OF_LAYER[columns[4]!]!,
        hex: columns[5]!,
      })),
    );
}

/** vectors/vectors.tsv with the value notation of each. */
export function madeVectors(): Reference[] {
  return rows(`${CAPTURES}vectors/vectors.tsv`).map(([name, type, hex]) => {
    const file = `${CAPTURES}vectors/${name}.val`;
    return {
      name: name!,
      type: type!,
      hex: hex!,
      ...(existsSync(file) ? { value: readFileSync(file, 'utf8') } : {}),
    };
  });
}

function rows(file: string): string[][] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((l) => l !== '' && !l.startsWith('#')).map((l) => l.split('\t'));
}

/** dissect/NAME.asn1values (unpacked): blocks `-- frame N layer a > b  hex`, then the value. */
export function valueBlocks(text: string): Reference[] {
  return text
    .split(/^(?=-- frame )/m)
    .filter((block) => block.startsWith('-- frame '))
    .map((block) => {
      const end = block.indexOf('\n');
      const [, frame, layer, hex] =
        /^-- frame (\d+) (\S+) .*?([0-9a-f]+)$/.exec(block.slice(0, end).trim()) ?? [];
      return { name: `frame ${frame}`, type: TYPE_OF_LAYER[layer!]!, hex: hex!, value: block.slice(end + 1) };
    });
}
