/**
 * When two descriptions of a format mean the same format, and what an answer may say about it (RFC 3264 6.1 and each format's
 * own document). Names are compared upper case; parameters are by name in lower case.
 */

export interface Codec {
  /** Upper case. */
  readonly name: string;
  readonly clockRate: number;
  readonly channels: number;
  readonly parameters: ReadonlyMap<string, string>;
}

/** `a=1;b=2` as a map (first of a name counts, at most 24); a text without `=` is the value of `''` (telephone-event, RED). */
export function parseFormatParameters(text: string): Map<string, string> {
  const out = new Map<string, string>();
  for (const part of text.split(';').slice(0, 24)) {
    const at = part.indexOf('=');
    const name = at < 0 ? '' : part.slice(0, at).trim().toLowerCase();
    const value = part.slice(at + 1).trim();
    if (value !== '' && !out.has(name)) out.set(name, value);
  }
  return out;
}

/**
 * Text that is equal for descriptions of the same format: name, rate, channels and those parameters that make a different
 * format of it rather than being negotiated within it.
 */
export function formatKey(codec: Codec): string {
  const base = `${codec.name}/${codec.clockRate}/${codec.channels}`;
  const parameter = (name: string, otherwise: string): string => codec.parameters.get(name) ?? otherwise;
  switch (codec.name) {
    case 'H264': {
      // RFC 6184 8.2.2: profile and packetization mode must agree, the level may differ; absent: Baseline, mode 0.
      const profile = parameter('profile-level-id', '42000a').toLowerCase();
      return `${base};${profileOf(profile)};${parameter('packetization-mode', '0')}`;
    }
    case 'AMR':
    case 'AMR-WB':
      // RFC 4867 8.3.1: octet-align is the payload's layout, both must have the same.
      return `${base};${parameter('octet-align', '0')}`;
    default:
      return base;
  }
}

/** RFC 6184 table 5, shortened: constrained baseline has several spellings. */
function profileOf(profileLevelId: string): string {
  const idc = Number.parseInt(profileLevelId.slice(0, 2), 16);
  const iop = Number.parseInt(profileLevelId.slice(2, 4), 16);
  const constrained =
    (idc === 0x42 && (iop & 0x40) !== 0) ||
    (idc === 0x4d && (iop & 0x80) !== 0) ||
    (idc === 0x58 && (iop & 0xc0) === 0xc0);
  return constrained ? 'cb' : `${idc}/${iop & 0x70}`;
}

/**
 * The parameters to answer with: those of the answering end (`answered`), corrected where the format's document binds the
 * answer to the offer.
 */
export function answerParameters(
  name: string,
  offered: ReadonlyMap<string, string>,
  answered: ReadonlyMap<string, string>,
): Map<string, string> {
  const out = new Map(answered);
  switch (name) {
    case 'G729':
      // RFC 7261 3.4: an offer without Annex B must not be answered with it; absent means yes (RFC 4856 2.1.9).
      if (offered.get('annexb') === 'no' || answered.get('annexb') === 'no') out.set('annexb', 'no');
      break;
    case 'ILBC':
      // RFC 3952 5: the greater frame size of both counts; absent means 30.
      if (offered.get('mode') === '20' && answered.get('mode') === '20') out.set('mode', '20');
      else if (offered.has('mode') || answered.has('mode')) out.set('mode', '30');
      break;
    case 'TELEPHONE-EVENT': {
      const events = intersectEvents(offered.get('events'), answered.get('events'));
      if (events === undefined) out.delete('events');
      else out.set('events', events);
      break;
    }
    case 'T38': {
      // T.38 D.2.3: the answer raises neither version nor bit rate, and has the offer's way of checking the line.
      for (const name of ['t38-version', 't38-bitrate']) {
        const least = Math.min(...[offered, answered].map((m) => Number(m.get(name) ?? Number.NaN)));
        if (!Number.isNaN(least)) out.set(name, `${least}`);
      }
      const management = offered.get('t38-rate-management');
      if (management !== undefined) out.set('t38-rate-management', management);
      break;
    }
    case 'H264': {
      // RFC 6184 8.2.2: packetization-mode is symmetric.
      const mode = offered.get('packetization-mode');
      if (mode === undefined) out.delete('packetization-mode');
      else out.set('packetization-mode', mode);
      break;
    }
  }
  return out;
}

/** RFC 4733 2.4.1: events where none are listed. */
export const DEFAULT_EVENTS = '0-15';

/** Canonical list of event numbers (0..255), e.g. `0-15,66`; undefined where `text` is no such list. */
export function canonicalEvents(text: string): string | undefined {
  const set = eventSet(text);
  return set === undefined ? undefined : eventText(set);
}

/** Events in both lists; undefined where both leave them to the default. Nothing in common: the default. */
export function intersectEvents(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined && b === undefined) return undefined;
  const left = eventSet(a ?? DEFAULT_EVENTS);
  const right = eventSet(b ?? DEFAULT_EVENTS);
  const both = left?.map((on, i) => on && right?.[i] === true);
  return both?.includes(true) ? eventText(both) : DEFAULT_EVENTS;
}

function eventSet(text: string): boolean[] | undefined {
  if (text.length > 256) return undefined;
  const set = new Array<boolean>(256).fill(false);
  for (const part of text.split(',')) {
    const match = /^\s*(\d{1,3})(?:-(\d{1,3}))?\s*$/.exec(part);
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (last > 255 || first > last) return undefined;
    set.fill(true, first, last + 1);
  }
  return set;
}

function eventText(set: readonly boolean[]): string {
  const out: string[] = [];
  for (let i = 0; i < set.length; ) {
    if (set[i] !== true) {
      i++;
      continue;
    }
    const first = i;
    while (set[i] === true) i++;
    out.push(i - 1 === first ? `${first}` : `${first}-${i - 1}`);
  }
  return out.join(',');
}
