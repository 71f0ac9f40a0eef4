/** Formats of an SDP stream ↔ neutral formats. Payload types stay on this side; parameters cross by known name and grammar only. */
import { FORMAT_FACTS, type FormatIdentity, formatByEncoding, staticFormat } from '../media/formats.ts';
import type { Format, FormatName, FormatParameter, ParameterName } from '../meta/message.ts';
import type { FormatParameters, MediaDescription, RtpMap, T38Attributes } from '../sdp/description.ts';
import {
  answerParameters,
  type Codec,
  canonicalEvents,
  DEFAULT_EVENTS,
  formatKey,
  parseFormatParameters,
} from '../sdp/format-rules.ts';

/** A format without the number it has in an exchange. */
export type BareFormat = Omit<Format, 'id'>;

export interface PayloadFormat {
  readonly payloadType: number;
  readonly format: BareFormat;
}

const DIGITS = /^\d{1,6}$/;
const FLAG = /^[01]$/;

/** What a parameter of a format may say. Everything else is dropped, in both directions. */
const GRAMMAR: Partial<Record<FormatName, Partial<Record<ParameterName, RegExp>>>> = {
  G729: { annexb: /^(?:yes|no)$/ },
  G723: { bitrate: /^(?:5\.3|6\.3)$/ },
  OPUS: { maxplaybackrate: DIGITS, stereo: FLAG, useinbandfec: FLAG, usedtx: FLAG },
  ILBC: { mode: /^(?:20|30)$/ },
  AMR: { 'mode-set': /^[0-7](?:,[0-7]){0,7}$/, 'octet-align': FLAG },
  'AMR-WB': { 'mode-set': /^[0-8](?:,[0-8]){0,8}$/, 'octet-align': FLAG },
  'telephone-event': { events: /^[\d,-]{1,64}$/ },
  H264: { 'profile-level-id': /^[0-9A-Fa-f]{6}$/, 'packetization-mode': /^[0-2]$/ },
  T38: {
    't38-version': /^[0-4]$/,
    't38-bitrate': DIGITS,
    't38-rate-management': /^(?:localTCF|transferredTCF)$/,
    't38-max-buffer': DIGITS,
    't38-max-datagram': DIGITS,
    't38-udp-ec': /^t38UDP(?:Redundancy|FEC|NoEC)$/,
    't38-options': /^(?=.)(?:fill-bit-removal)?(?:(?:^|,)transcoding-mmr)?(?:(?:^|,)transcoding-jbig)?$/,
  },
};

/** The parameters that may stand with `name`, in canonical order; the rest is dropped. */
export function cleanParameters(
  name: FormatName,
  parameters: Iterable<readonly [string, string]>,
): FormatParameter[] {
  const grammar = GRAMMAR[name] ?? {};
  const out: FormatParameter[] = [];
  for (const [key, value] of parameters) {
    const rule = Object.hasOwn(grammar, key) ? grammar[key as ParameterName] : undefined;
    if (rule === undefined || !rule.test(value)) continue;
    const text = key === 'events' ? canonicalEvents(value) : value;
    if (text !== undefined && text.length <= 64) out.push({ name: key as ParameterName, value: text });
  }
  return out.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function pairs(parameters: readonly FormatParameter[]): [string, string][] {
  return parameters.map((p) => [p.name, p.value]);
}

const NO_PARAMETERS: ReadonlyMap<string, string> = new Map();

function codecOf(format: BareFormat): Codec {
  return {
    name: format.name.toUpperCase(),
    clockRate: format.clockRate,
    channels: format.channels,
    parameters: format.parameters.length === 0 ? NO_PARAMETERS : new Map(pairs(format.parameters)),
  };
}

/** Equal text where two formats are the same (RFC 3264 6.1 and the formats' own documents). */
export function keyOf(format: BareFormat): string {
  return formatKey(codecOf(format));
}

/** The answering end's parameters as the offer allows them. */
export function answered(offered: BareFormat, answer: BareFormat): FormatParameter[] {
  const name = offered.name.toUpperCase();
  const map = answerParameters(name, codecOf(offered).parameters, codecOf(answer).parameters);
  return cleanParameters(offered.name, map);
}

/** The formats of an RTP stream that may cross, in order, each once. */
export function rtpFormats(media: MediaDescription): PayloadFormat[] {
  const out: PayloadFormat[] = [];
  const keys = new Set<string>();
  for (const text of media.formats) {
    const payloadType = /^\d{1,3}$/.test(text) ? Number(text) : 128;
    // RFC 5761 4: 64..95 cannot be told from RTCP on a shared port.
    if (payloadType > 127 || (payloadType >= 64 && payloadType <= 95)) continue;
    const identity = identityOf(payloadType, media.rtpMaps);
    if (identity === undefined) continue;
    const fmtp = media.formatParameters.find((p) => p.format === text)?.text;
    const format = { ...identity, parameters: fmtpParameters(identity.name, fmtp) };
    const key = keyOf(format);
    if (keys.has(key) || out.some((f) => f.payloadType === payloadType)) continue;
    keys.add(key);
    out.push({ payloadType, format });
  }
  return out;
}

function identityOf(payloadType: number, maps: readonly RtpMap[]): FormatIdentity | undefined {
  const fixed = staticFormat(payloadType);
  const map = maps.find((m) => m.payloadType === payloadType);
  if (map === undefined) return fixed;
  const mapped = formatByEncoding(map.encoding, map.clockRate, map.channels);
  // RFC 3551 6: a static type cannot be given another meaning.
  return fixed !== undefined && mapped?.name !== fixed.name ? undefined : mapped;
}

function fmtpParameters(name: FormatName, text: string | undefined): FormatParameter[] {
  if (text === undefined) return [];
  const map = parseFormatParameters(text);
  // RFC 4733 2.4.1: the list of events stands alone; some devices write `events=`.
  if (name === 'telephone-event') {
    const events = map.get('') ?? map.get('events');
    return events === undefined ? [] : cleanParameters(name, [['events', events]]);
  }
  return cleanParameters(name, map);
}

/** rtpmap of a format under a payload type; also for static types, as RFC 3264 5.1 recommends. */
export function rtpMapOf(payloadType: number, format: BareFormat): RtpMap {
  return {
    payloadType,
    encoding: FORMAT_FACTS[format.name].encoding,
    clockRate: format.clockRate,
    channels: format.name === 'OPUS' ? 2 : format.channels,
  };
}

/** fmtp of a format; undefined where it says nothing. Parameters are cleaned again: they came from the other gateway. */
export function fmtpOf(payloadType: number, format: BareFormat): FormatParameters | undefined {
  const clean = cleanParameters(format.name, pairs(format.parameters));
  const text =
    format.name === 'telephone-event'
      ? (clean[0]?.value ?? DEFAULT_EVENTS) // meant by saying nothing; some devices want it said
      : clean.map((p) => `${p.name}=${p.value}`).join(';');
  return text === '' ? undefined : { format: `${payloadType}`, text };
}

const FAX_OPTIONS = [
  ['fill-bit-removal', 'fillBitRemoval'],
  ['transcoding-mmr', 'transcodingMmr'],
  ['transcoding-jbig', 'transcodingJbig'],
] as const;

/** T.38 D.2.1: the one format of an image stream over UDPTL. Clock rate 0: it has none. */
export function t38Format(attributes: T38Attributes | undefined): BareFormat {
  const t = attributes ?? {};
  const list: [string, string | number | undefined][] = [
    ['t38-version', t.version],
    ['t38-bitrate', t.maxBitRate],
    ['t38-rate-management', t.rateManagement],
    ['t38-max-buffer', t.maxBuffer],
    ['t38-max-datagram', t.maxDatagram],
    ['t38-udp-ec', t.udpEc],
    ['t38-options', FAX_OPTIONS.flatMap(([name, field]) => (t[field] === true ? [name] : [])).join(',')],
  ];
  const given = list.filter((p): p is [string, string | number] => p[1] !== undefined);
  const parameters = cleanParameters(
    'T38',
    given.map(([name, value]): [string, string] => [name, String(value)]),
  );
  return { name: 'T38', clockRate: 0, channels: 1, parameters };
}

export function t38AttributesOf(format: BareFormat): T38Attributes {
  const map = new Map<string, string>(pairs(cleanParameters('T38', pairs(format.parameters))));
  const number = (name: string): number | undefined => (map.has(name) ? Number(map.get(name)) : undefined);
  const version = number('t38-version');
  const maxBitRate = number('t38-bitrate');
  const rateManagement = map.get('t38-rate-management') as T38Attributes['rateManagement'];
  const maxBuffer = number('t38-max-buffer');
  const maxDatagram = number('t38-max-datagram');
  const udpEc = map.get('t38-udp-ec') as T38Attributes['udpEc'];
  const options = (map.get('t38-options') ?? '').split(',');
  return {
    ...(version === undefined ? {} : { version }),
    ...(maxBitRate === undefined ? {} : { maxBitRate }),
    ...(rateManagement === undefined ? {} : { rateManagement }),
    ...(maxBuffer === undefined ? {} : { maxBuffer }),
    ...(maxDatagram === undefined ? {} : { maxDatagram }),
    // Each leg mends by itself: parities are read, nobody is asked for them.
    ...(udpEc === undefined ? {} : { udpEc: udpEc === 't38UDPFEC' ? 't38UDPRedundancy' : udpEc }),
    ...Object.fromEntries(
      FAX_OPTIONS.flatMap(([name, field]) => (options.includes(name) ? [[field, true]] : [])),
    ),
  };
}
