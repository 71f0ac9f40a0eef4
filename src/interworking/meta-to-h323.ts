/** Neutral leg commands → H.323 commands. Every message is built from typed fields; nothing of the other side's is copied. */
import type { LegCommand } from '../call/leg.ts';
import type { FastStartChoice } from '../h323/media-contract.ts';
import type { MediaExchange } from '../meta/message.ts';
import { applyWish, changed, declare, declareVideo, reconcile } from './h245-channels.ts';
import { faxOffered, faxSettled, leaveFax } from './h245-fax.ts';
import type { H323Leg } from './h323-leg.ts';
import { partyToH323 } from './h323-parties.ts';

type Command<Kind extends LegCommand['kind']> = Extract<LegCommand, { kind: Kind }>;

/** H.225.0 hopCount. */
const MAX_HOPS = 31;

export function commandToH323(leg: H323Leg, command: LegCommand): void {
  const { call } = leg;
  switch (command.kind) {
    case 'setup':
      setup(leg, command);
      break;
    case 'proceeding':
      leg.send({ kind: 'proceeding', call });
      break;
    case 'alerting': {
      const fastStart = settle(leg, command.media);
      if (leg.ended) break;
      leg.alerted = true;
      leg.send({ kind: 'alerting', call, inBand: leg.inBand, ...fastStart });
      begin(leg, command.media);
      break;
    }
    case 'progress':
      progress(leg, command.media, command.cause);
      break;
    case 'connect':
      connect(leg, command);
      break;
    case 'media':
      media(leg, command.media);
      break;
    case 'modify':
      modify(leg, command.media);
      break;
    case 'modify-accept':
      modifyAccepted(leg, command.media);
      break;
    case 'modify-refuse':
      leg.negotiation.dropOffer();
      faxSettled(leg, false);
      changed(leg, command.glare);
      break;
    case 'user-input':
      // RFC 4733 where the far end has a payload type for it, else H.245 user input.
      if (leg.negotiation.takesEvents) leg.digit(leg.negotiation.index, command.digit, command.durationMs);
      else leg.send({ kind: 'user-input', call, digit: command.digit, durationMs: command.durationMs });
      break;
    case 'transfer':
      leg.emit({ kind: 'transfer-progress', outcome: 'failure', cause: 79 }); // we invoke no operation of H.450.2
      break;
    case 'transfer-result': {
      const { outcome } = command;
      if (outcome !== 'success' && outcome !== 'failure') break;
      leg.referred = undefined;
      leg.send({ kind: 'answer-transfer', call, accepted: outcome === 'success' });
      break;
    }
    case 'release':
      leg.send({ kind: 'release', call, cause: command.cause });
      leg.over();
      break;
  }
}

function setup(leg: H323Leg, command: Command<'setup'>): void {
  const { negotiation, peer } = leg;
  if (command.hops < 1) {
    leg.count('hops');
    leg.over();
    leg.emit({ kind: 'release', cause: 25 }); // 483 on the other side
    return;
  }
  if (command.media === undefined) {
    leg.lateOffer = true;
  } else {
    const { media } = command;
    const taken = negotiation.fax.isFirst(media)
      ? negotiation.fax.takeFirst(media)
      : negotiation.takeOffer(media);
    if (!taken.ok) {
      leg.count(taken.error.reason);
      leg.over();
      leg.emit({ kind: 'release', cause: taken.error.cause });
      return;
    }
  }
  const capabilities = negotiation.ownCapabilities();
  leg.declared = JSON.stringify(capabilities);
  const fastStart = peer.fastStart && !leg.lateOffer ? negotiation.proposals() : [];
  const { diverting } = command;
  leg.send({
    kind: 'setup',
    call: leg.call,
    peer: peer.name,
    ...(leg.target === undefined ? {} : { target: leg.target }),
    caller: partyToH323(command.caller, peer.trusted),
    callee: partyToH323({ ...command.callee, privacy: 'allowed' }, true),
    ...(peer.trusted && diverting?.privacy === 'allowed' && /^[0-9*#]+$/.test(diverting.number)
      ? { redirecting: { number: diverting.number } }
      : {}),
    hops: Math.min(MAX_HOPS, command.hops),
    ...(leg.replaces === undefined ? {} : { consultation: leg.replaces.callIdentity }),
    capabilities,
    ...(fastStart.length === 0 ? {} : { fastStart }),
  });
}

/** Caller: the other side's answer. FastStart is answered with the first message after it; see `begin`. */
function settle(
  leg: H323Leg,
  exchange: MediaExchange | undefined,
): { fastStart?: readonly FastStartChoice[] } {
  if (exchange === undefined) return {};
  const { negotiation } = leg;
  if (exchange.kind === 'offer') {
    leg.count('offer-out-of-place'); // our set-up had one
    return {};
  }
  const taken = negotiation.takeAnswer(exchange);
  if (!taken.ok) {
    leg.breakOff(taken.error.reason, taken.error.cause);
    return {};
  }
  const fastStart = negotiation.fastStartChoices();
  return fastStart.length === 0 ? {} : { fastStart };
}

/**
 * Caller: H.245 may begin once the message with the FastStart answer is on its way. The other way round, a caller that
 * has its capabilities acknowledged first opens channels that the answer then has opened already (chan_ooh323 does).
 */
function begin(leg: H323Leg, exchange: MediaExchange | undefined): void {
  if (exchange?.kind === 'answer') declare(leg);
  reconcile(leg);
}

function progress(leg: H323Leg, exchange: MediaExchange | undefined, cause: number | undefined): void {
  const fastStart = settle(leg, exchange);
  if (leg.ended) return;
  // An answer before Connect means that there is something to hear (RFC 3398 7.2.3, 183 with SDP), where the far end has a channel
  // for it. A slow-start caller has none before Connect: it rings by itself, rather than be told to listen to silence.
  leg.inBand ||= exchange !== undefined && (leg.negotiation.main.send !== undefined || leg.peer.earlyH245);
  if (!leg.inBand && !leg.alerted && cause === undefined) {
    leg.alerted = true;
    leg.send({ kind: 'alerting', call: leg.call, inBand: false, ...fastStart });
    begin(leg, exchange);
    return;
  }
  leg.send({
    kind: 'progress',
    call: leg.call,
    inBand: leg.inBand,
    ...(cause === undefined ? {} : { cause }),
    ...fastStart,
  });
  begin(leg, exchange);
}

function connect(leg: H323Leg, command: Command<'connect'>): void {
  const fastStart = settle(leg, command.media);
  if (leg.ended) return;
  if (leg.negotiation.offerOpen) {
    leg.breakOff('connect-without-answer', 88);
    return;
  }
  const { connected } = command;
  leg.confirmed = true;
  leg.send({
    kind: 'connect',
    call: leg.call,
    ...(connected === undefined || !leg.peer.trusted || connected.privacy !== 'allowed'
      ? {}
      : { connected: partyToH323(connected, true) }),
    ...fastStart,
  });
  begin(leg, command.media);
  applyWish(leg);
}

function media(leg: H323Leg, exchange: MediaExchange): void {
  const { negotiation } = leg;
  if (exchange.kind === 'offer') {
    leg.count('offer-out-of-place');
    return;
  }
  if (!negotiation.offerOpen) {
    leg.count('answer-out-of-place');
    return;
  }
  if (!leg.confirmed) {
    progress(leg, exchange, undefined);
    return;
  }
  const taken = negotiation.takeAnswer(exchange);
  negotiation.dropOffer();
  if (!taken.ok && leg.modify === 'none') {
    // The answer to an offer that came with Connect: without it there is no sound.
    leg.breakOff(taken.error.reason, taken.error.cause);
    return;
  }
  answeredChange(leg, taken.ok);
  changed(leg, false);
}

/** Our change, or what the far end wished for, is answered. */
function answeredChange(leg: H323Leg, agreedTo: boolean): void {
  const toFax = leg.modeWanted === 'image';
  faxSettled(leg, agreedTo);
  if (agreedTo && !toFax) agreed(leg);
}

function modify(leg: H323Leg, exchange: MediaExchange | undefined): void {
  const { negotiation } = leg;
  if (leg.modify !== 'none' || negotiation.answerDue || negotiation.offerOpen) {
    leg.emit({ kind: 'modify-refuse', cause: 41, glare: true });
    return;
  }
  if (exchange === undefined) {
    const offer = negotiation.agreedOffer();
    if (offer === undefined) {
      leg.emit({ kind: 'modify-refuse', cause: 88, glare: false });
      return;
    }
    leg.modify = 'asked';
    leg.emit({ kind: 'modify-accept', media: offer });
    return;
  }
  if (faxOffered(leg, exchange)) return;
  const taken = negotiation.takeOffer(exchange);
  const codec = taken.ok ? negotiation.current() : undefined;
  const answer = codec === undefined ? undefined : negotiation.answer([codec]);
  if (answer === undefined) {
    leg.count(taken.ok ? 'no-common-codec' : taken.error.reason);
    negotiation.rejectOffer();
    leg.emit({ kind: 'modify-refuse', cause: 88, glare: false });
    return;
  }
  leaveFax(leg, true);
  agreed(leg);
  leg.emit({ kind: 'modify-accept', media: answer });
}

/** The agreed formats are others now: channels with another codec are closed, what was agreed to is declared and opened. */
function agreed(leg: H323Leg): void {
  const { negotiation, call } = leg;
  const close = (direction: 'send' | 'receive'): void =>
    leg.send({ kind: 'close-channel', call, media: 'audio', direction });
  const { sending, receiving } = negotiation;
  const kept = (name: string): boolean => negotiation.agreedOn(name);
  const moved =
    (sending !== undefined && !kept(sending.name)) || (receiving !== undefined && !kept(receiving.name));
  // Where the far end has a channel that may stay, nothing is said that could make it close it.
  if (moved || receiving === undefined) declare(leg);
  else declareVideo(leg);
  const opening = leg.opening.get('audio');
  if (sending !== undefined && !kept(sending.name)) close('send');
  else if (opening !== undefined && !kept(opening.name)) {
    leg.opening.delete('audio'); // contract.ts: nothing follows where the channel was not open
    close('send');
  }
  if (receiving !== undefined && !kept(receiving.name)) close('receive');
  applyWish(leg);
  reconcile(leg);
}

function modifyAccepted(leg: H323Leg, exchange: MediaExchange | undefined): void {
  if (leg.modify !== 'ours') {
    leg.count('modify-accept-out-of-place');
    return;
  }
  if (exchange === undefined) return; // the answer follows in a `media` message
  const taken = leg.negotiation.takeAnswer(exchange);
  leg.negotiation.dropOffer();
  if (!taken.ok) leg.count(taken.error.reason);
  answeredChange(leg, taken.ok);
  changed(leg, false);
}
