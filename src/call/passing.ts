/** Messages that go from one side to the other as they are, but for their media, which obeys media-exchanges.ts. */
import { checkMessage } from '../meta/check.ts';
import { tryEncodeMeta } from '../meta/encode.ts';
import { DIGITS } from '../meta/fields.ts';
import type { CallMessage, MediaExchange } from '../meta/message.ts';
import { META_LIMITS, META_VERSION } from '../meta/message.ts';
import type { CallContext, CallInput, LegInput, Outcome } from './call-context.ts';
import type { LegCommand } from './leg.ts';

/** From the leg to the tunnel. */
export function forward(context: CallContext, input: CallInput): Outcome {
  const { rest, media } = apart(context, input);
  if (media === 'broken' || (rest.kind === 'media' && media === undefined)) return false;
  const { retryAfterSeconds: _, ...fields } = rest; // only between a half-call and its leg
  const whole = { ...fields, call: context.options.call, ...(media === undefined ? {} : { media }) };
  const message = carriable(whole as CallMessage);
  if (typeof message === 'string') {
    context.refuse(input, message);
    return false;
  }
  context.toTunnel(message);
  return true;
}

/** From the tunnel to the leg. */
export function deliver(context: CallContext, input: CallInput): Outcome {
  const { rest, media } = apart(context, input);
  if (media === 'broken' || (rest.kind === 'media' && media === undefined)) return false;
  const { call: _, ...fields } = rest;
  const told = media ?? chosenAnswer(context, input);
  context.toLeg({ ...fields, ...(told === undefined ? {} : { media: told }) } as LegCommand);
  return true;
}

/** The answer on the branch that connects counts (docs/meta-protocol.md 5, rule 5), though another branch answered after it. */
function chosenAnswer(context: CallContext, { message }: CallInput): MediaExchange | undefined {
  if (message.kind !== 'connect' || context.options.side !== 'originator') return undefined;
  return context.exchanges.reselected(message.branch);
}

/** The message, or which field Meta cannot carry. A connect loses its connected party rather than the call. */
function carriable(message: CallMessage): CallMessage | string {
  const problem = problemOf(message);
  if (problem === undefined) return message;
  if (message.kind !== 'connect' || message.connected === undefined) return problem;
  const { connected: _, ...rest } = message;
  return carriable(rest);
}

/** Which field Meta cannot carry ('message': it is too long, which only media can make it), so that encoding cannot fail later. */
export function problemOf(message: CallMessage): string | undefined {
  const problem = checkMessage(message, META_VERSION.minor)?.field;
  if (problem !== undefined || !('media' in message) || isSmall(message.media)) return problem;
  const encoded = tryEncodeMeta(message, META_VERSION.minor);
  return encoded.ok ? undefined : encoded.error.field;
}

/** Media that leave the rest of the message all the room it can need: it is not encoded to see whether it fits. */
function isSmall(media: MediaExchange | undefined): boolean {
  if (media === undefined || media.kind === 'refuse') return true;
  let octets = 0;
  for (const stream of media.streams)
    for (const format of stream.formats) {
      octets += 16;
      for (const parameter of format.parameters) octets += 4 + parameter.value.length;
    }
  return octets < META_LIMITS.messageBytes / 2;
}

/** Alerting and progress of the called side, either way: as many as a call may have. */
export function ringing(context: CallContext, input: CallInput): Outcome {
  if (context.within(`${input.from}-ringing`, input.now))
    return input.from === 'leg' ? forward(context, input) : deliver(context, input);
  if (input.from === 'tunnel')
    context.exchanges.skip((input.message as { readonly media?: MediaExchange }).media);
  context.refuse(input, 'rate');
  return false;
}

/** A digit of the other side's. */
export function deliverDigit(context: CallContext, input: CallInput): Outcome {
  if (context.within('tunnel-digit', input.now)) return deliver(context, input);
  context.refuse(input, 'rate');
  return false;
}

interface Fields {
  readonly kind: string;
  readonly call?: string;
  readonly retryAfterSeconds?: number;
}

/** The message without its media, and the media as it may go on. */
function apart(
  context: CallContext,
  input: CallInput,
): { readonly rest: Fields; readonly media: MediaExchange | undefined | 'broken' } {
  const { media, ...rest } = input.message as Fields & { readonly media?: MediaExchange };
  return { rest, media: context.media(input, media) };
}

/** A digit of the leg's signalling; the duration is brought into Meta's range. */
export function forwardDigit(context: CallContext, event: LegInput<'user-input'>, input: CallInput): Outcome {
  if (event.digit.length !== 1 || !DIGITS.includes(event.digit)) {
    context.refuse(input, 'digit');
    return false;
  }
  if (!context.within('leg-digit', input.now)) {
    context.refuse(input, 'rate');
    return false;
  }
  const durationMs = Math.round(Math.min(8000, Math.max(40, event.durationMs || 0)));
  context.toTunnel({ kind: 'user-input', call: context.options.call, digit: event.digit, durationMs });
  return true;
}
