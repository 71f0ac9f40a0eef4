/** Session-Expires and Min-SE (RFC 4028), Expires (RFC 3261 20.19). */
import { parseTokenWithParameters } from './parameters.ts';

const MAX_SECONDS = 0xffff_ffff;

export interface SessionExpires {
  readonly seconds: number;
  readonly refresher?: 'uac' | 'uas';
}

export function parseSessionExpires(text: string): SessionExpires | undefined {
  const value = parseTokenWithParameters(text);
  const seconds = value && parseSeconds(value.value);
  if (value === undefined || seconds === undefined) return undefined;
  const refresher = value.parameters.get('refresher')?.toLowerCase();
  return refresher === 'uac' || refresher === 'uas' ? { seconds, refresher } : { seconds };
}

export function formatSessionExpires(value: SessionExpires): string {
  return value.refresher === undefined ? `${value.seconds}` : `${value.seconds};refresher=${value.refresher}`;
}

/** Seconds of Min-SE; parameters are allowed and ignored. */
export function parseMinSe(text: string): number | undefined {
  const value = parseTokenWithParameters(text);
  return value && parseSeconds(value.value);
}

/** Delta-seconds; above 2^32-1 the RFC's maximum is meant (RFC 3261 20.19). Undefined where there are other characters. */
export function parseSeconds(text: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const value = Number(text);
  return Math.min(value, MAX_SECONDS);
}
