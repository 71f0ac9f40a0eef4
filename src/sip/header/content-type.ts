/** Content-Type and Content-Disposition (RFC 3261 20.15, 20.11). */
import { NO_PARAMETERS, Scanner } from './scanner.ts';

export interface ContentType {
  /** `application/sdp`, lower case. */
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

export function parseContentType(text: string): ContentType | undefined {
  const scanner = new Scanner(text);
  scanner.space();
  const main = scanner.token();
  if (main === '' || !scanner.separator(0x2f)) return undefined;
  const sub = scanner.token();
  const parameters = scanner.parameters();
  if (sub === '' || parameters === undefined || !scanner.done) return undefined;
  return { type: `${main}/${sub}`.toLowerCase(), parameters };
}

export interface ContentDisposition {
  readonly type: string; // lower case: session, render, ...
  /** RFC 5621 8: missing means required. */
  readonly optional: boolean;
}

export function parseContentDisposition(text: string): ContentDisposition | undefined {
  const scanner = new Scanner(text);
  scanner.space();
  const type = scanner.token().toLowerCase();
  const parameters = scanner.parameters() ?? NO_PARAMETERS;
  if (type === '' || !scanner.done) return undefined;
  return { type, optional: parameters.get('handling')?.toLowerCase() === 'optional' };
}
