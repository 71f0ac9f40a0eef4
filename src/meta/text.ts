/** One line per message for people: the ladder of `voip-sgw trace` and debug logs. */
import type { DigestProof, MediaExchange, MetaMessage, Party, Stream } from './message.ts';

export interface DescribeOptions {
  /** Whole numbers and names; default: the last two characters of a number and no names. */
  readonly full?: boolean;
}

/** `setup …01 → …99, offer 1 audio PCMA PCMU telephone-event sendrecv`; without the call id. */
export function describeMeta(message: MetaMessage, options: DescribeOptions = {}): string {
  const full = options.full === true;
  let text: string = message.kind;
  let separator = ' ';
  for (const part of details(message, full)) {
    if (part === '') continue;
    text += separator + part;
    separator = ', ';
  }
  return text;
}

/** `…01` for 4930123401; nothing of a number shorter than five characters but its length. */
export function shortNumber(number: string): string {
  if (number === '') return '(none)';
  return number.length < 5 ? 'x'.repeat(number.length) : `…${number.slice(-2)}`;
}

function details(message: MetaMessage, full: boolean): readonly string[] {
  switch (message.kind) {
    case 'setup':
      return [
        `${party(message.caller, full)} → ${party(message.callee, full)}`,
        message.diverting === undefined ? '' : `diverted by ${party(message.diverting, full)}`,
        message.priority === 'normal' ? '' : message.priority,
        `hops ${message.hops}`,
        media(message.media),
      ];
    case 'alerting':
      return [branch(message.branch), media(message.media)];
    case 'progress':
      return [branch(message.branch), cause(message.cause), media(message.media)];
    case 'connect':
      return [
        branch(message.branch),
        message.connected === undefined ? '' : `connected ${party(message.connected, full)}`,
        media(message.media),
      ];
    case 'media':
    case 'modify':
    case 'modify-accept':
      return [media(message.media)];
    case 'modify-refuse':
      return [cause(message.cause), message.glare ? 'glare' : ''];
    case 'user-input':
      return [full ? `digit ${message.digit}` : 'digit', `${message.durationMs} ms`];
    case 'notify':
      return [message.event];
    case 'transfer-request':
      return [`to ${party(message.target, full)}`];
    case 'transfer-result':
      return [message.outcome, cause(message.cause)];
    case 'release':
      return [cause(message.cause), `by ${message.origin}`];
    case 'status':
      return [message.state, `generation ${message.mediaGeneration}`];
    case 'authenticate':
      return [proof(message.proof, full)];
    case 'authenticate-result':
      return [message.outcome];
    case 'register':
      return [party(message.number, full), `${message.expiresSeconds} s`];
    case 'register-result':
      return [message.outcome, `${message.expiresSeconds} s`, cause(message.cause)];
    case 'proceeding':
    case 'status-enquiry':
    case 'unregister':
      return [];
  }
}

function party(value: Party, full: boolean): string {
  const plus = value.numberType === 'international' ? '+' : '';
  if (!full) return plus + shortNumber(value.number);
  const name = value.displayName === undefined ? '' : ` "${value.displayName}"`;
  return `${plus}${value.number === '' ? '(none)' : value.number}${name}`;
}

function proof(value: DigestProof, full: boolean): string {
  return full ? `${value.algorithm} ${value.username}` : value.algorithm;
}

function branch(number: number): string {
  return number === 0 ? '' : `branch ${number}`;
}

function cause(value: number | undefined): string {
  return value === undefined ? '' : `cause ${value}`;
}

function media(exchange: MediaExchange | undefined): string {
  if (exchange === undefined) return '';
  const head = `${exchange.kind} ${exchange.number}${exchange.by === 'originator' ? 'o' : 't'}`;
  if (exchange.kind === 'refuse') return `${head} cause ${exchange.cause}`;
  return [head, ...exchange.streams.map(stream)].join(' ');
}

function stream(value: Stream): string {
  if (value.refused) return `${value.kind} refused`;
  return `${value.kind} ${value.formats.map((f) => f.name).join('/')} ${value.direction}`;
}
