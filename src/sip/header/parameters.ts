/** Header parameters: `;name=value` (RFC 3261 25.1 generic-param), parsing and writing. */
import { isToken, Scanner } from './scanner.ts';

/** Parses `value *( ";" generic-param )` where value is a token, e.g. Session-Expires, Event. Undefined where malformed. */
export function parseTokenWithParameters(
  text: string,
): { readonly value: string; readonly parameters: ReadonlyMap<string, string> } | undefined {
  const scanner = new Scanner(text);
  scanner.space();
  const value = scanner.token();
  const parameters = scanner.parameters();
  if (value === '' || parameters === undefined || !scanner.done) return undefined;
  return { value, parameters };
}

/** `;name=value` for each; a value that is no token or host is quoted; '' writes the name alone. */
export function formatParameters(parameters: Iterable<readonly [string, string]>): string {
  let out = '';
  for (const [name, value] of parameters) {
    out += value === '' ? `;${name}` : `;${name}=${formatValue(value)}`;
  }
  return out;
}

function formatValue(value: string): string {
  return isToken(value) || (/^[[\]:.0-9A-Fa-f]{1,48}$/.test(value) && value.includes(':'))
    ? value
    : quote(value);
}

/** A quoted string of octet text; control octets, which have no place in one we write, become spaces. */
export function quote(text: string): string {
  return `"${text.replace(/[\x00-\x1f\x7f]/g, ' ').replace(/["\\]/g, '\\$&')}"`;
}
