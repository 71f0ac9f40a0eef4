/** Reason (RFC 3326): only Q.850 causes and SIP statuses are read, and only Q.850 is written. */
import { splitList } from './list.ts';
import { parseTokenWithParameters, quote } from './parameters.ts';

/** The Q.850 cause (1..127) of a Reason header; undefined where there is none. */
export function parseQ850(text: string): number | undefined {
  return causeOf(text, 'q.850', 1, 127);
}

/** The SIP status (100..699) of a Reason header (`SIP;cause=200` says "completed elsewhere"). */
export function parseReasonStatus(text: string): number | undefined {
  return causeOf(text, 'sip', 100, 699);
}

function causeOf(text: string, protocol: string, least: number, most: number): number | undefined {
  for (const item of splitList(text, 8) ?? []) {
    const reason = parseTokenWithParameters(item);
    if (reason?.value.toLowerCase() !== protocol) continue;
    const cause = reason.parameters.get('cause') ?? '';
    if (!/^\d{1,3}$/.test(cause)) continue;
    const value = Number(cause);
    if (value >= least && value <= most) return value;
  }
  return undefined;
}

export function formatQ850(cause: number, text?: string): string {
  return text === undefined ? `Q.850;cause=${cause}` : `Q.850;cause=${cause};text=${quote(text)}`;
}
