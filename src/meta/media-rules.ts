/** What a media description must obey beyond its encoding (docs/meta-protocol.md, "Media"). Returns name the broken rule. */
import { isPrintable } from './characters.ts';
import type { Format, FormatName, MediaExchange, MediaKind, Stream } from './message.ts';
import { FORMAT_NAMES, META_LIMITS, PARAMETER_NAMES } from './message.ts';

interface FormatRule {
  readonly kind: MediaKind | 'any';
  readonly rates: readonly number[];
  readonly channels: 1 | 2;
}

const NARROW = [8000];
const ANY_AUDIO = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000];
const VIDEO: FormatRule = { kind: 'video', rates: [90_000], channels: 1 };

function audio(rates: readonly number[], channels: 1 | 2 = 1): FormatRule {
  return { kind: 'audio', rates, channels };
}

/** Clock rates: RFC 3551 6, RFC 7587 (Opus always 48000), RFC 3389 (comfort noise: that of the codec), RFC 4733 2.5. */
export const FORMAT_RULES: Readonly<Record<FormatName, FormatRule>> = {
  PCMU: audio(NARROW),
  PCMA: audio(NARROW),
  G722: audio(NARROW), // RFC 3551 4.5.2: 8000 although it samples at 16000
  G729: audio(NARROW),
  GSM: audio(NARROW),
  G723: audio(NARROW),
  OPUS: audio([48_000], 2),
  ILBC: audio(NARROW),
  AMR: audio(NARROW),
  'AMR-WB': audio([16_000]),
  L16: audio(ANY_AUDIO, 2),
  SPEEX: audio([8000, 16_000, 32_000]),
  'telephone-event': audio(ANY_AUDIO),
  CN: audio([8000, 16_000, 32_000, 48_000]),
  T38: { kind: 'image', rates: [0], channels: 1 }, // UDPTL has no clock
  H263: VIDEO,
  H264: VIDEO,
  VP8: VIDEO,
  'G726-32': audio(NARROW),
  RED: { kind: 'any', rates: [8000, 16_000, 48_000, 90_000, 1000], channels: 1 },
};

/** Undefined where the exchange is well formed, else the rule it breaks. */
export function mediaProblem(exchange: MediaExchange): string | undefined {
  if (!inRange(exchange.number, 1, META_LIMITS.exchangeNumber)) return 'exchange-number';
  if (!inRange(exchange.branch, 0, META_LIMITS.branch)) return 'branch';
  if (exchange.kind === 'refuse') return inRange(exchange.cause, 1, 127) ? undefined : 'cause';
  if (exchange.streams.length > META_LIMITS.streams) return 'streams';
  let last = -1;
  for (const stream of exchange.streams) {
    if (!inRange(stream.index, last + 1, META_LIMITS.streams - 1)) return 'stream-order';
    last = stream.index;
    const problem = streamProblem(stream);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function streamProblem(stream: Stream): string | undefined {
  if (stream.packetTime !== undefined && !inRange(stream.packetTime, 5, 200)) return 'packet-time';
  if (stream.refused !== (stream.formats.length === 0)) return 'refused-formats';
  if (stream.formats.length > META_LIMITS.formats) return 'formats';
  let ids = 0;
  for (const format of stream.formats) {
    if (!inRange(format.id, 0, 31)) return 'format-id';
    if ((ids & (1 << format.id)) !== 0) return 'format-id-twice';
    ids |= 1 << format.id;
    const problem = formatProblem(format, stream.kind);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function formatProblem(format: Format, kind: MediaKind): string | undefined {
  if (!FORMAT_NAMES.includes(format.name)) return 'format-name';
  const rule = FORMAT_RULES[format.name];
  if (rule.kind !== 'any' && rule.kind !== kind) return 'format-kind';
  if (kind === 'image' && rule.kind !== 'image') return 'format-kind';
  if (!rule.rates.includes(format.clockRate)) return 'clock-rate';
  const fewest = format.name === 'OPUS' ? 2 : 1; // RFC 7587 7: always /48000/2
  if (!inRange(format.channels, fewest, rule.channels)) return 'channels';
  if (format.parameters.length > META_LIMITS.parameters) return 'parameters';
  let last = '';
  for (const { name, value } of format.parameters) {
    if (!PARAMETER_NAMES.includes(name)) return 'parameter-name';
    if (name <= last) return 'parameter-order';
    last = name;
    if (value.length > META_LIMITS.parameterBytes || !isPrintable(value)) return 'parameter-value';
  }
  return undefined;
}

/**
 * Whether `answer` may answer `offer` (after RFC 3264 6): the same streams in the same places, what was refused stays
 * refused, and no format that was not offered. The direction is not compared: media control takes the common part.
 */
export function answerProblem(offer: readonly Stream[], answer: readonly Stream[]): string | undefined {
  if (offer.length !== answer.length) return 'answer-streams';
  for (let i = 0; i < offer.length; i++) {
    const asked = offer[i]!;
    const got = answer[i]!;
    if (asked.index !== got.index || asked.kind !== got.kind) return 'answer-streams';
    if (asked.refused && !got.refused) return 'answer-refused';
    for (const format of got.formats) {
      if (!asked.formats.some((f) => sameFormat(f, format))) return 'answer-format';
    }
  }
  return undefined;
}

function sameFormat(a: Format, b: Format): boolean {
  return a.id === b.id && a.name === b.name && a.clockRate === b.clockRate && a.channels === b.channels;
}

function inRange(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
