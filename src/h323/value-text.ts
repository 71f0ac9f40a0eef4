/** Decoded PER values as text for a trace: one line, close to ASN.1 value notation. */
import { toHex } from '../bytes/text.ts';

/** Shown as `...`: passwords, tokens, hashes and keys, whatever is inside. */
const SECRET = new Set([
  'tokens',
  'cryptoTokens',
  'password',
  'challenge',
  'random',
  'integrityCheckValue',
  'encryptionSync',
  'encryptionUpdate',
  'h235Key',
  'h245SecurityCapability',
  'dhkey',
  'dhkeyext',
]);
/** Octets of an OCTET STRING that are shown. */
const OCTETS = 32;

/** `limit`: characters after which the text is cut, with `...` behind them. */
export function valueText(value: unknown, limit = 4000): string {
  const out: string[] = [];
  let left = limit;
  const put = (text: string): void => {
    if (left > 0) out.push(text.slice(0, left));
    left -= text.length;
  };
  write(value, put, () => left > 0);
  return left < 0 ? `${out.join('')}...` : out.join('');
}

function write(value: unknown, put: (text: string) => void, room: () => boolean): void {
  if (!room()) return put('.');
  if (value === null) return put('NULL');
  if (value instanceof Uint8Array) {
    return put(`'${toHex(value.subarray(0, OCTETS))}${value.length > OCTETS ? '...' : ''}'H`);
  }
  if (typeof value === 'string') return put(JSON.stringify(value));
  if (typeof value !== 'object') return put(String(value));
  if (Array.isArray(value)) {
    return list(
      value.map((item) => () => write(item, put, room)),
      put,
    );
  }
  const { choice } = value as { readonly choice?: unknown };
  if (typeof choice === 'string') {
    put(`${choice}: `);
    return SECRET.has(choice) ? put('...') : write((value as { readonly value: unknown }).value, put, room);
  }
  const fields = Object.entries(value).filter(([, part]) => part !== undefined);
  list(
    fields.map(([name, part]) => () => {
      put(`${name} `);
      if (SECRET.has(name)) put('...');
      else write(part, put, room);
    }),
    put,
  );
}

function list(parts: readonly (() => void)[], put: (text: string) => void): void {
  put('{ ');
  for (const [index, part] of parts.entries()) {
    if (index > 0) put(', ');
    part();
  }
  put(parts.length === 0 ? '}' : ' }');
}
