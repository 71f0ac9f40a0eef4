/** How one m= line changes with each step of an offer/answer exchange (RFC 3264 5, 6 and 8). */
import type { LegPorts } from '../call/leg.ts';
import type { Writable } from '../machine/machine.ts';
import { allowedFormats, isAuxiliary, preferred } from '../media/codec-policy.ts';
import { FORMAT_FACTS } from '../media/formats.ts';
import type { Direction, Format, MediaKind, Stream } from '../meta/message.ts';
import type { MediaDescription, SessionDescription } from '../sdp/description.ts';
import { directionOf, intersect, receives, reverse, sends } from '../sdp/offer-answer.ts';
import { PayloadMap } from './payload-map.ts';
import { answered, keyOf } from './sdp-formats.ts';
import {
  agreedFormats,
  type Line,
  type NumberedFormat,
  portProblem,
  type ReadRules,
  type ReadStream,
  readStream,
  type StreamRefusal,
} from './sdp-lines.ts';

export interface LineRules extends ReadRules {
  readonly ports: LegPorts;
  readonly offerRtcpMux?: boolean;
}

/** A line of the far end's offer. `local` is a plan (nothing flows) until the answer is known. */
export function offeredLine(
  rules: LineRules,
  session: SessionDescription,
  media: MediaDescription,
  old: Line | undefined,
  freeIndex: number | undefined,
): { line: Line; refusal?: StreamRefusal } {
  const read = readStream(session, media, rules);
  const base: Writable<Line> = {
    kind: typeof read === 'string' ? (old?.kind ?? 'audio') : read.kind,
    type: media.type,
    protocol: media.protocol,
    placeholder: media.formats[0]!,
    numbers: old?.numbers ?? new PayloadMap(),
    wish: old?.wish ?? 'sendrecv',
  };
  if (old?.index !== undefined) base.index = old.index;
  if (typeof read === 'string') return { line: base, refusal: read };
  const index = old?.index ?? freeIndex;
  if (index === undefined) return { line: base, refusal: 'too-many-streams' };
  const port = old?.port ?? rules.ports.allocate(index, read.kind, read.family);
  if (port === undefined) return { line: base, refusal: 'no-port' };
  const refusal = portProblem(read, port);
  if (refusal !== undefined) return { line: base, refusal };
  const numbered = base.numbers.number(read.formats.map((f) => f.format));
  const formats = numbered.map((format, i) => ({ format, payloadType: read.formats[i]!.payloadType }));
  const planned = formats.flatMap((f) => answerFormat(base.numbers, read.kind, f) ?? []);
  base.index = index;
  base.port = port;
  base.remote = { ...remoteOf(read), formats };
  base.local = { direction: 'inactive', rtcpMux: read.rtcpMux, formats: planned };
  return { line: base };
}

/** Our part of a line of the far end's offer, from the other gateway's answer. */
export function answerLine(rules: LineRules, line: Line, streams: readonly Stream[]): Line {
  const { remote, index, port } = line;
  const stream = streams.find((s) => s.index === index);
  if (remote === undefined || port === undefined || stream === undefined) return refused(line);
  if (stream.refused || stream.kind !== line.kind) return refused(line);
  const formats: NumberedFormat[] = [];
  for (const format of allowedFormats(stream.formats, rules.codecs)) {
    const offered = remote.formats.find((f) => f.format.id === format.id);
    if (offered === undefined || !sameCodec(offered.format, format)) continue;
    if (formats.some((f) => f.format.id === format.id)) continue;
    const agreed = { ...format, parameters: answered(offered.format, format) };
    const made = answerFormat(line.numbers, line.kind, {
      format: agreed,
      payloadType: offered.payloadType,
    });
    if (made !== undefined) formats.push(made);
  }
  if (!formats.some((f) => !isAuxiliary(f.format.name))) return refused(line);
  // What our far end's offer did not allow the other side cannot have wished for in its answer.
  const allowed = reverse(remote.direction);
  const wish = directionOf(
    sends(stream.direction) || !sends(allowed),
    receives(stream.direction) || !receives(allowed),
  );
  return {
    ...line,
    wish,
    local: {
      direction: intersect(stream.direction, allowed),
      ...(stream.packetTime === undefined ? {} : { packetTime: stream.packetTime }),
      rtcpMux: remote.rtcpMux,
      formats,
    },
  };
}

/** A line of our offer, from the other gateway's; `old` undefined: a new one. */
export function localLine(
  rules: LineRules,
  old: Line | undefined,
  stream: Stream | undefined,
  family: 4 | 6 | undefined,
): Line {
  const kind = stream?.kind ?? old?.kind ?? 'audio';
  const kept = old?.kind === kind && old.local !== undefined ? old.protocol : undefined;
  const protocol = kept ?? (kind === 'image' ? 'udptl' : 'RTP/AVP');
  const empty: Line = {
    ...(old?.index === undefined ? {} : { index: old.index }),
    kind,
    type: stream === undefined ? (old?.type ?? kind) : kind,
    protocol: stream === undefined ? (old?.protocol ?? protocol) : protocol,
    placeholder: stream === undefined ? (old?.placeholder ?? '0') : kind === 'image' ? 't38' : '0',
    numbers: old?.numbers ?? new PayloadMap(),
    wish: stream?.direction ?? old?.wish ?? 'sendrecv',
  };
  if (stream === undefined || stream.refused) return empty;
  const fitting = uniqueFormats(stream.formats).filter((f) => FORMAT_FACTS[f.name].media === kind);
  const ordered = preferred(allowedFormats(fitting, rules.codecs), rules.codecs);
  const formats = kind === 'image' ? ordered.slice(0, 1) : ordered;
  if (formats.length === 0) return empty;
  empty.numbers.learn(formats);
  const numbered = formats.flatMap((format) => {
    const payloadType = kind === 'image' ? -1 : empty.numbers.offer(format);
    return payloadType === undefined ? [] : [{ format, payloadType }];
  });
  if (!numbered.some((f) => !isAuxiliary(f.format.name))) return empty;
  const port = old?.port ?? rules.ports.allocate(stream.index, kind, family);
  return {
    ...empty,
    index: stream.index,
    ...(port === undefined ? {} : { port }),
    local: {
      direction: stream.direction,
      ...(stream.packetTime === undefined ? {} : { packetTime: stream.packetTime }),
      rtcpMux: kind !== 'image' && (old?.remote?.rtcpMux === true || rules.offerRtcpMux === true),
      formats: numbered,
    },
  };
}

/** The far end's part of a line of our offer, from its answer. */
export function answeredLine(
  rules: LineRules,
  session: SessionDescription,
  media: MediaDescription | undefined,
  line: Line,
): { line: Line; refusal?: StreamRefusal } {
  const { local, port } = line;
  if (local === undefined || port === undefined || media === undefined) return { line: refused(line) };
  const read = readStream(session, media, rules);
  if (typeof read === 'string') return { line: refused(line), refusal: read };
  const refusal = read.kind === line.kind ? portProblem(read, port) : 'protocol';
  if (refusal !== undefined) return { line: refused(line), refusal };
  const formats: NumberedFormat[] = [];
  for (const { payloadType, format } of read.formats) {
    const key = keyOf(format);
    // RFC 3264 6.1 asks for the offer's payload types; an answer with others is understood by the formats' names.
    const offered =
      local.formats.find((f) => f.payloadType === payloadType && sameCodec(f.format, format)) ??
      local.formats.find((f) => keyOf(f.format) === key);
    if (offered === undefined || formats.some((f) => f.format.id === offered.format.id)) continue;
    const parameters = answered(offered.format, format);
    formats.push({ payloadType, format: { ...format, id: offered.format.id, parameters } });
  }
  if (!formats.some((f) => !isAuxiliary(f.format.name))) return { line: refused(line), refusal: 'no-format' };
  const rtcpMux = read.rtcpMux && local.rtcpMux;
  return { line: { ...line, remote: { ...remoteOf(read), rtcpMux, formats } } };
}

/** The line with its place in the session, and nothing else. */
export function refused(line: Line): Line {
  const { local: _local, remote: _remote, port: _port, ...rest } = line;
  return rest;
}

/** The line as it would be offered again: only what was agreed. */
export function restated(line: Line, direction: Direction): Line {
  return { ...line, local: { ...line.local!, direction, formats: agreedFormats(line) } };
}

function remoteOf(read: ReadStream): Omit<ReadStream, 'formats' | 'kind' | 'family' | 'loopback'> {
  const { formats: _formats, kind: _kind, family: _family, loopback: _loopback, ...remote } = read;
  return remote;
}

function answerFormat(
  numbers: PayloadMap,
  kind: MediaKind,
  offered: NumberedFormat,
): NumberedFormat | undefined {
  if (kind === 'image') return offered;
  const payloadType = numbers.answer(offered.format, offered.payloadType);
  return payloadType === undefined ? undefined : { format: offered.format, payloadType };
}

function sameCodec(a: Omit<Format, 'id'>, b: Omit<Format, 'id'>): boolean {
  return a.name === b.name && a.clockRate === b.clockRate && a.channels === b.channels;
}

/** Each format and each id once: what the other gateway sends is checked for it, but costs nothing to check again. */
function uniqueFormats(formats: readonly Format[]): Format[] {
  const keys = new Set<string>();
  const ids = new Set<number>();
  return formats.filter((format) => {
    const key = keyOf(format);
    if (keys.has(key) || ids.has(format.id)) return false;
    keys.add(key);
    ids.add(format.id);
    return true;
  });
}
