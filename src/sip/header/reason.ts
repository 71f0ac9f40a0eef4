/** Reason (RFC 3326): only Q.850 causes are read and written. */
import { splitList } from './list.ts';
import { parseTokenWithParameters, quote } from './parameters.ts';

/** The Q.850 cause (1..127) of a Reason header; undefined where there is none. */
export function parseQ850(text: string): number | undefined {
  for (const item of splitList(text, 8) ?? []) {
    const reason = parseTokenWithParameters(item);
    if (reason?.value.toLowerCase() !== 'q.850') continue;
    const cause = reason.parameters.get('cause') ?? '';
    if (!/^\d{1,3}$/.test(cause)) continue;
    const value = Number(cause);
    if (value >= 1 && value <= 127) return value;
  }
  return undefined;
}

export function formatQ850(cause: number, text?: string): string {
  return text === undefined ? `Q.850;cause=${cause}` : `Q.850;cause=${cause};text=${quote(text)}`;
}
