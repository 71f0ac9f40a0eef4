/** WWW-Authenticate, Proxy-Authenticate, Authorization, Proxy-Authorization (RFC 3261 25.1, RFC 7616 3.3, 3.4). */
import { SIP_LIMITS } from '../message.ts';
import { quote } from './parameters.ts';
import { Scanner } from './scanner.ts';

export interface AuthParameters {
  /** Lower case: `digest`. */
  readonly scheme: string;
  /** Lower-case names, unquoted values. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** One challenge or one set of credentials; undefined where malformed, a name repeats, or there are too many. */
export function parseAuth(text: string): AuthParameters | undefined {
  const scanner = new Scanner(text);
  scanner.space();
  const scheme = scanner.token().toLowerCase();
  const before = scanner.at;
  scanner.space();
  if (scheme === '' || scanner.at === before) return undefined;
  const parameters = new Map<string, string>();
  do {
    const name = scanner.token().toLowerCase();
    if (name === '' || parameters.has(name) || parameters.size >= SIP_LIMITS.parameters) return undefined;
    if (!scanner.separator(0x3d)) return undefined;
    const value = scanner.peek() === 0x22 ? scanner.quoted() : scanner.value();
    if (value === undefined) return undefined;
    parameters.set(name, value);
  } while (scanner.separator(0x2c));
  return scanner.done ? { scheme, parameters } : undefined;
}

/** `Digest name="value", name=value`; `bare` names stand without quotes. */
export function formatAuth(
  scheme: string,
  parameters: readonly (readonly [name: string, value: string])[],
  bare: readonly string[],
): string {
  const items = parameters.map(([name, value]) => `${name}=${bare.includes(name) ? value : quote(value)}`);
  return `${scheme} ${items.join(', ')}`;
}
