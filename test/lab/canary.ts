/** Values that stand nowhere else: planted in every place of a SIP message and its SDP where a careless gateway would copy. */
import { randomBytes } from 'node:crypto';

/** Places of the canary scenarios; see peers/scenarios/*-canary*.xml. */
const PLACES = [
  'NAME', 'VALUE', 'XVALUE', 'AGENT', 'SUBJECT', 'ORGANIZATION', 'PAI', 'CALLINFO', 'BRANCH', 'FROMHOST', 'URIPARAM',
  'FROMTAG', 'CONTACT', 'CONTACTPARAM', 'REASON', 'WARNHOST', 'PHRASE', 'CALLID',
  'SDPO', 'SDPS', 'SDPI', 'SDPU', 'SDPE', 'SDPTOOL', 'SDPAN', 'SDPAV', 'SDPMI', 'SDPMN', 'SDPMV',
] as const; // biome-ignore format: a list
export type CanaryPlace = (typeof PLACES)[number];
export type Canaries = Readonly<Record<CanaryPlace, string>>;

/** `side`: one letter, so that a finding tells where it is from. Letters and digits only: legal in every place. */
export function canaries(side: string): Canaries {
  const value = (place: string): string =>
    `cnry${side}${place.toLowerCase()}${randomBytes(3).toString('hex')}`;
  return Object.fromEntries(PLACES.map((place) => [place, value(place)])) as Canaries;
}

/** Places that only requests or only responses have. */
export const REQUEST_PLACES: readonly CanaryPlace[] = PLACES.filter(
  (p) => p !== 'WARNHOST' && p !== 'PHRASE',
);
export const RESPONSE_PLACES: readonly CanaryPlace[] = PLACES.filter(
  (p) => !['CALLID', 'SUBJECT', 'CALLINFO', 'BRANCH', 'FROMHOST', 'URIPARAM', 'REASON'].includes(p),
);

export function pick(all: Canaries, places: readonly CanaryPlace[]): string[] {
  return places.map((place) => all[place]);
}
