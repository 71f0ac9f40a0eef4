import { sameBytes } from '../bytes/equal.ts';
import type { LegPorts, LegStream } from '../call/leg.ts';
import { isIpv6 } from '../machine/address.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import type {
  Direction,
  FormatName,
  MediaExchange,
  MediaKind,
  MediaOffer,
  Side,
  Stream,
} from '../meta/message.ts';
import { META_LIMITS } from '../meta/message.ts';
import { SDP_LIMITS, type SessionDescription } from '../sdp/description.ts';
import { reverse } from '../sdp/offer-answer.ts';
import { parseSdp } from '../sdp/parse.ts';
import { writeSdp } from '../sdp/write.ts';
import {
  agreedDirection,
  agreedFormats,
  describeLines,
  isActive,
  type Line,
  legStream,
  legStreamWhileOffering,
  neutralStream,
  refusedStream,
  type StreamRefusal,
} from './sdp-lines.ts';
import { answeredLine, answerLine, localLine, offeredLine, refused, restated } from './sdp-steps.ts';

export interface SdpNegotiationOptions {
  /** Of this leg's gateway in the call: whose numbering our offers have. */
  readonly side: Side;
  readonly ports: LegPorts;
  /** o= session id, 0 .. 2^53-1, made up by this gateway per leg. */
  readonly sessionId: number;
  /** Allowed, in order of preference; telephone-event and CN are allowed in any case. */
  readonly codecs: readonly FormatName[];
  /** Whether media may be sent to this address (canonical text). Multicast, link-local and the like are refused before. */
  acceptMediaAddress(ip: string): boolean;
  /** Whether a stream at an address that is not accepted is taken all the same, its address to be learned by latching. Default: no. */
  learnMediaAddress?(ip: string): boolean;
  /** Offer a=rtcp-mux of our own accord; default false. It is answered in any case. */
  readonly offerRtcpMux?: boolean;
}

/** `status`: for the SIP response; `reason`: stable token for counters. */
export interface NegotiationProblem {
  readonly status: 400 | 488 | 491 | 500 | 503;
  readonly reason: string;
}

export type NegotiationState = 'stable' | 'offer-sent' | 'offer-received';

/** The far end's offer in neutral terms, or: it said what it had said before; answer with `repeatLocal`. */
export type ReceivedOffer = MediaOffer | { readonly kind: 'refresh' };

interface TheirOffer {
  readonly kind: 'theirs';
  readonly exchange: MediaOffer;
  readonly lines: readonly Line[];
  readonly key: string;
}
interface OurOffer {
  readonly kind: 'ours';
  /** Undefined: made here (`offerAgain`), not asked for by the other gateway. */
  readonly exchange: MediaOffer | undefined;
  readonly lines: readonly Line[];
}
type OpenOffer = TheirOffer | OurOffer;

/**
 * The media negotiation of one SIP leg (RFC 3264): SDP towards the far end, neutral exchanges towards the other gateway.
 * m= lines and neutral streams are mapped one to one, but a line that was never usable here (an unknown kind, SRTP) has no index and does
 * not cross; it is refused in place. A rejected offer leaves everything as it was. Methods never throw on what a peer or the other
 * gateway sent; after a problem in `receiveOffer`, `sendOffer` or `sendAnswer` nothing is open any more, after one in
 * `receiveAnswer` our offer still is (a later answer may be better; else call `rejectPending`).
 */
export class SdpNegotiation {
  #options: SdpNegotiationOptions;
  /** As agreed, or as stands while the first offer is open: empty. */
  #lines: readonly Line[] = [];
  /** Streams of the other gateway that have no line here (refused before they got one). */
  #elsewhere = new Map<number, MediaKind>();
  #open: OpenOffer | undefined;
  /** The last offer that was answered; may be answered again by another branch until there is a new one. */
  #answered: OpenOffer | undefined;
  #branch = 0;
  #answerText = '';
  /** An offer made from the answer to `offerAgain`; its answer changes nothing here. */
  #late: number | undefined;
  #number = 0;
  /** `streams()` of a state, which is asked for far more often than it changes: the same state gives the same array. */
  #shown:
    | {
        readonly lines: readonly Line[];
        readonly open: OpenOffer | undefined;
        readonly streams: readonly LegStream[];
      }
    | undefined;
  #remoteKey: string | undefined;
  #version = 0;
  /** The description as last written. */
  #content: Uint8Array | undefined;
  #address = '0.0.0.0';

  constructor(options: SdpNegotiationOptions) {
    // RED's packets name payload types inside (RFC 2198 3), which never cross.
    const codecs = options.codecs.filter((name) => name !== 'RED');
    this.#options = { ...options, codecs };
  }

  get state(): NegotiationState {
    if (this.#open === undefined) return 'stable';
    return this.#open.kind === 'theirs' ? 'offer-received' : 'offer-sent';
  }

  /** The leg goes over to another call (a transfer): its offers are that side's now; nothing of the old call is answered any more. */
  moveTo(side: Side): void {
    this.#options = { ...this.#options, side };
    this.#answered = undefined;
    this.#late = undefined;
    this.#elsewhere.clear();
  }

  /** An SDP offer of the far end. */
  receiveOffer(body: Uint8Array, branch: number): Result<ReceivedOffer, NegotiationProblem> {
    if (this.state === 'offer-sent') return problem(491, 'glare'); // RFC 3261 14.2
    if (this.state === 'offer-received') return problem(500, 'offer-pending');
    const parsed = parseSdp(body);
    if (!parsed.ok) return problem(400, `sdp-${parsed.error.reason}`);
    const session = parsed.value;
    const key = contentKey(session);
    if (key === this.#remoteKey && this.#lines.some(isActive)) return ok({ kind: 'refresh' });
    // RFC 3264 8: a line is never taken away, only refused.
    if (session.media.length < this.#lines.length) return problem(400, 'media-removed');
    if (session.media.length === 0) return problem(488, 'no-media');
    if (this.#number >= META_LIMITS.exchangeNumber) return problem(500, 'too-many-offers');
    const lines: Line[] = [];
    let refusal: StreamRefusal | undefined;
    for (let i = 0; i < session.media.length; i++) {
      const made = offeredLine(
        this.#options,
        session,
        session.media[i]!,
        this.#lines[i],
        this.#freeIndex(lines),
      );
      lines.push(made.line);
      if (made.refusal !== undefined && (refusal === undefined || refusal === 'port-zero'))
        refusal = made.refusal;
    }
    if (!lines.some(isActive)) {
      return problem(refusal === 'no-port' ? 503 : 488, refusal ?? 'no-usable-stream');
    }
    const exchange: MediaOffer = {
      kind: 'offer',
      by: this.#options.side,
      number: ++this.#number,
      branch,
      streams: this.#neutral(lines, (line) => line.remote!.direction),
    };
    this.#open = { kind: 'theirs', exchange, lines, key };
    return ok(exchange);
  }

  /**
   * An SDP answer of the far end to our offer; from another early dialog (`branch`) also after the first answer. Undefined: the
   * other gateway need not know. The answer to `offerAgain` gives a new offer where it changed something, else undefined.
   */
  receiveAnswer(body: Uint8Array, branch: number): Result<MediaExchange | undefined, NegotiationProblem> {
    const offer = this.#open ?? this.#answered;
    if (offer?.kind !== 'ours') return problem(500, 'unexpected-answer');
    const parsed = parseSdp(body);
    if (!parsed.ok) return problem(400, `sdp-${parsed.error.reason}`);
    const session = parsed.value;
    if (session.media.length > offer.lines.length) return problem(400, 'media-added');
    let refusal: StreamRefusal | undefined;
    const lines = offer.lines.map((line, i) => {
      const made = answeredLine(this.#options, session, session.media[i], line);
      refusal ??= made.refusal;
      return made.line;
    });
    if (!lines.some(isActive)) return problem(488, refusal ?? 'no-usable-stream');
    const before = this.#lines;
    const again = this.#open === undefined;
    const streams = offer.exchange && answerStreams(offer.exchange.streams, lines.map(settled));
    const text = JSON.stringify(streams);
    // RFC 3261 13.2.1: the first description of a dialog is the answer. One that only moves the media elsewhere changes nothing in it.
    if (again && branch === this.#branch && text !== this.#answerText) return problem(488, 'answer-changed');
    this.#commit(offer, lines, contentKey(session));
    if (offer.exchange === undefined || streams === undefined) return ok(this.#changed(before));
    const same = again && branch === this.#branch && text === this.#answerText;
    this.#branch = branch;
    this.#answerText = text;
    const { by, number } = offer.exchange;
    return ok(same ? undefined : { kind: 'answer', by, number, branch, streams });
  }

  /** An offer of the other gateway, as SDP to send. 491: another offer is open. */
  sendOffer(exchange: MediaExchange): Result<Uint8Array, NegotiationProblem> {
    if (exchange.kind !== 'offer') return problem(500, 'not-an-offer');
    if (this.state !== 'stable') return problem(491, 'glare');
    const family = this.#family();
    const lines = this.#lines.map((line) => {
      const stream = exchange.streams.find((s) => s.index === line.index);
      return localLine(this.#options, line, stream, family);
    });
    const known = new Set(lines.map((line) => line.index));
    for (const stream of exchange.streams) {
      if (known.has(stream.index)) continue;
      const added = stream.refused ? undefined : localLine(this.#options, undefined, stream, family);
      if (added?.local === undefined || lines.length >= SDP_LIMITS.media) {
        this.#elsewhere.set(stream.index, stream.kind);
      } else {
        lines.push(added);
      }
    }
    if (!lines.some(isActive)) {
      const lacking = lines.some((line) => line.local !== undefined);
      return lacking ? problem(503, 'no-port') : problem(488, 'no-usable-stream');
    }
    this.#open = { kind: 'ours', exchange, lines };
    return ok(this.#render(lines));
  }

  /**
   * The other gateway's answer (or refusal, then problem 488 `refused`) to the far end's offer, as SDP to send. Undefined: the far
   * end knows it already (a second answer that changes nothing, or the answer to what came out of `offerAgain`).
   */
  sendAnswer(exchange: MediaExchange): Result<Uint8Array | undefined, NegotiationProblem> {
    if (exchange.kind === 'offer' || exchange.by !== this.#options.side)
      return problem(500, 'unexpected-answer');
    if (exchange.number === this.#late) {
      this.#late = undefined;
      return ok(undefined);
    }
    const again = this.#open === undefined;
    const offer = this.#open ?? this.#answered;
    if (offer?.kind !== 'theirs' || offer.exchange.number !== exchange.number) {
      return problem(500, 'unexpected-answer');
    }
    if (exchange.kind === 'refuse') {
      if (!again) this.#open = undefined;
      return problem(488, 'refused');
    }
    const lines = offer.lines.map((line) => answerLine(this.#options, line, exchange.streams));
    if (!lines.some(isActive)) {
      if (!again) this.#open = undefined;
      return problem(488, 'no-usable-stream');
    }
    this.#commit(offer, lines, offer.key);
    const known = this.#content;
    const bytes = this.#render(this.#lines);
    return ok(again && known === this.#content ? undefined : bytes);
  }

  /** Whether this answers what came out of `offerAgain`: the far end has its answer already, and nothing is left to say. */
  takesLate(exchange: MediaExchange): boolean {
    const late =
      exchange.kind !== 'offer' && exchange.by === this.#options.side && exchange.number === this.#late;
    if (late) this.#late = undefined;
    return late;
  }

  /** The open offer, ours or the far end's, came to nothing: what was agreed before stands. */
  rejectPending(): void {
    this.#open = undefined;
  }

  /**
   * Our description as agreed, to answer an offer that changed nothing or to refresh a session; o= version is kept unless
   * the last we sent was an offer of more than was agreed. Undefined: nothing was agreed yet.
   */
  repeatLocal(): Uint8Array | undefined {
    if (!this.#lines.some(isActive)) return undefined;
    return this.#render(
      this.#lines.map((line) => (line.local === undefined ? line : restated(line, agreedDirection(line)))),
    );
  }

  /**
   * An offer made here from what was last agreed, for a re-INVITE without a body or a session refresh of our own. Its answer goes
   * to `receiveAnswer`. It offers what the other side wished for, so that a far end that held the call can resume it this way
   * (RFC 6337 5.2.5). Undefined: nothing agreed, or another offer is open.
   */
  offerAgain(): Uint8Array | undefined {
    if (this.#open !== undefined || !this.#lines.some(isActive)) return undefined;
    const lines = this.#lines.map((line) => (line.local === undefined ? line : restated(line, line.wish)));
    this.#open = { kind: 'ours', exchange: undefined, lines };
    return this.#render(lines);
  }

  /** The streams of this leg as media control shall have them now, by index. Ask after every step. */
  streams(): readonly LegStream[] {
    const open = this.#open;
    const shownBefore = this.#shown;
    if (shownBefore?.lines === this.#lines && shownBefore.open === open) return shownBefore.streams;
    const out: LegStream[] = [];
    for (let i = 0; i < Math.max(this.#lines.length, open?.lines.length ?? 0); i++) {
      const old = this.#lines[i];
      const next = open?.lines[i];
      const shown = old !== undefined && isActive(old) ? old : (next ?? old!);
      if (shown.index === undefined) continue;
      const offering = open?.kind === 'ours' && next !== undefined && shown === old;
      out.push(offering ? legStreamWhileOffering(shown, next) : legStream(shown));
    }
    const streams = out.sort((a, b) => a.index - b.index);
    this.#shown = { lines: this.#lines, open, streams };
    return streams;
  }

  // ---- lines ------------------------------------------------------------------------------------------------------

  #freeIndex(before: readonly Line[]): number | undefined {
    const used = [...this.#lines, ...before].map((line) => line.index ?? -1);
    const index = Math.max(-1, ...used, ...this.#elsewhere.keys()) + 1;
    return index < META_LIMITS.streams ? index : undefined;
  }

  /** The address family the far end uses, as far as known. */
  #family(): 4 | 6 | undefined {
    const ip = this.#lines.find((line) => line.remote?.address !== undefined)?.remote?.address?.ip;
    return ip === undefined ? undefined : isIpv6(ip) ? 6 : 4;
  }

  #commit(offer: OpenOffer, lines: readonly Line[], remoteKey: string): void {
    this.#lines = lines.map(settled);
    for (const line of this.#lines) if (line.index !== undefined) this.#elsewhere.delete(line.index);
    this.#answered = offer;
    this.#open = undefined;
    this.#remoteKey = remoteKey;
  }

  #neutral(lines: readonly Line[], direction: (line: Line) => Direction): Stream[] {
    const out: Stream[] = [];
    for (const line of lines) {
      if (line.index === undefined) continue;
      const usable = isActive(line) && line.remote !== undefined;
      out.push(
        usable ? neutralStream(line.index, line, direction(line)) : refusedStream(line.index, line.kind),
      );
    }
    for (const [index, kind] of this.#elsewhere) out.push(refusedStream(index, kind));
    return out.sort((a, b) => a.index - b.index);
  }

  /** After the answer to `offerAgain`: an offer to the other gateway where what is agreed became something else. */
  #changed(before: readonly Line[]): MediaOffer | undefined {
    if (agreedText(before) === agreedText(this.#lines)) return undefined;
    if (this.#number >= META_LIMITS.exchangeNumber) return undefined;
    this.#late = ++this.#number;
    const streams = this.#neutral(this.#lines, (line) => line.remote!.direction);
    return { kind: 'offer', by: this.#options.side, number: this.#late, branch: 0, streams };
  }

  /** RFC 3264 8: the version goes up by one exactly when the description changes. */
  #render(lines: readonly Line[]): Uint8Array {
    this.#address = lines.find(isActive)?.port?.advertised.ip ?? this.#address;
    const session = { id: this.#options.sessionId, address: this.#address };
    const known = this.#content;
    if (known !== undefined) {
      const again = writeSdp(describeLines(lines, { ...session, version: this.#version }));
      if (sameBytes(again, known)) return known;
    }
    this.#version++;
    this.#content = writeSdp(describeLines(lines, { ...session, version: this.#version }));
    return this.#content;
  }
}

function settled(line: Line): Line {
  return isActive(line) ? line : refused(line);
}

function problem(status: NegotiationProblem['status'], reason: string): Result<never, NegotiationProblem> {
  return fail({ status, reason });
}

/** An answer names every stream of the offer, in its order (meta/media-rules.ts answerProblem). */
function answerStreams(offered: readonly Stream[], lines: readonly Line[]): Stream[] {
  return offered.map((stream) => {
    const line = lines.find((l) => l.index === stream.index);
    if (line === undefined || !isActive(line)) return refusedStream(stream.index, stream.kind);
    return neutralStream(stream.index, line, reverse(agreedDirection(line)));
  });
}

/**
 * What a description says, without o= and s=: equal where nothing changed. A digest, because a description may be 32 kB and is kept for
 * the life of the call; who finds a collision only has an offer of its own taken for a repetition.
 */
function contentKey(session: SessionDescription): string {
  const { origin: _origin, name: _name, ...content } = session;
  const text = JSON.stringify(content);
  let a = 0x811c9dc5;
  let b = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 0x01000193); // FNV-1a
    b = Math.imul(b, 31) + c;
  }
  return `${text.length}.${a >>> 0}.${b >>> 0}`;
}

function agreedText(lines: readonly Line[]): string {
  const view = lines.map((line) => {
    const formats = agreedFormats(line).map((f) => f.format.id);
    return [line.index, line.kind, isActive(line), agreedDirection(line), formats.sort((a, b) => a - b)];
  });
  return JSON.stringify(view);
}
