/** Kinds of values that several parts of the configuration's definition share. */
import { z } from 'zod';
import type { Result } from '../machine/machine.ts';
import { patternProblem } from '../policy/number-pattern.ts';
import { parseAddress, parseCidr, parseIp } from './config-values.ts';

/** A string that is refused or turned into a value by `parse`; the JSON Schema shows it as a string with `pattern`. */
function parsed<T>(parse: (text: string) => Result<T, string>, pattern: string, examples: readonly string[]) {
  return z
    .string()
    .meta({ pattern, examples: [...examples] })
    .transform((text, context): T => {
      const result = parse(text);
      if (result.ok) return result.value;
      context.addIssue(result.error);
      return z.NEVER;
    });
}

export const address = () =>
  parsed(parseAddress, '^(\\[[0-9A-Fa-f:.]+\\]|[0-9.]+):[0-9]{1,5}$', [
    '192.0.2.1:5060',
    '[2001:db8::1]:5060',
  ]);
export const ip = () => parsed(parseIp, '^[0-9A-Fa-f:.]+$', ['192.0.2.1', '2001:db8::1']);
export const cidr = () =>
  parsed(parseCidr, '^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$', ['10.0.0.0/8', '2001:db8::/32']);

export const label = () =>
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
    error: 'must be 1 to 64 letters, digits, "-", "_" or ".", starting with a letter or digit',
  });

/** Host name or address, without port. */
export const hostName = () =>
  z.string().regex(/^([A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\.?|[0-9A-Fa-f:.]+)$/, {
    error: 'must be a host name or an address without port and brackets; the port has its own key `port`',
  });

export const gatewayName = () =>
  z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$/, {
    error: 'must be 1 to 64 characters a-z, 0-9, "-" and ".", starting and ending with a letter or digit',
  });
export const path = () => z.string().min(1).max(4096);
export const digits = () =>
  z.string().regex(/^[0-9*#]{1,32}$/, { error: 'must be 1 to 32 digits ("+" is not part of a number)' });
/** A number pattern as policy/number-pattern.ts understands it. */
export const numberPattern = () =>
  z.string().check((context) => {
    const text = context.value;
    const small = /^[+0-9xnXN*#.]*[xn][+0-9xnXN*#.]*$/.test(text);
    const problem = small ? 'write "X" and "N" as capitals' : patternProblem(text);
    if (problem === undefined) return;
    const notation =
      'use digits, "X" (one digit), "N" (2 to 9), "." at the end (any digits), "*" alone (everything), "+" in front (international)';
    const message = `"${text}" is not a number pattern: ${problem}; ${notation}`;
    context.issues.push({ code: 'custom', message, input: text });
  });
export const transport = () => z.enum(['udp', 'tcp', 'tls']);
export const symmetric = () => z.enum(['signalled', 'latch']);
/** Most networks in one list; longer lists belong into the firewall. */
export const NETWORKS = 4096;
