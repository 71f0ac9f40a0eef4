/** Neutral leg commands → SIP commands. Every message is built from typed fields; nothing of the other side's is copied. */
import type { LegCommand } from '../call/leg.ts';
import type { MediaExchange } from '../meta/message.ts';
import type { SipBody } from '../sip/contract.ts';
import { causeToStatus } from './cause.ts';
import type { SipLeg } from './sip-leg.ts';
import { sipParties, userOf } from './sip-parties.ts';

function sdp(bytes: Uint8Array | undefined): { body?: SipBody } {
  return bytes === undefined ? {} : { body: { contentType: 'application/sdp', bytes } };
}

export function commandToSip(leg: SipLeg, command: LegCommand): void {
  const session = leg.session;
  switch (command.kind) {
    case 'setup':
      invite(leg, command);
      break;
    case 'proceeding':
      break; // the endpoint has sent 100
    case 'alerting':
      provisional(leg, 180, command.media);
      break;
    case 'progress':
      provisional(leg, 183, command.media);
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
      modifyAccept(leg, command.media);
      break;
    case 'modify-refuse':
      if (leg.modify === 'theirs-offered') leg.negotiation.rejectPending();
      leg.modify = 'none';
      leg.send({
        kind: 'modify-refuse',
        session,
        status: command.glare ? 491 : command.cause === 41 ? 500 : 488,
        ...(command.cause === 41 && !command.glare ? { retryAfterSeconds: 5 } : {}),
      });
      break;
    case 'user-input':
      userInput(leg, command.digit, command.durationMs);
      break;
    case 'transfer':
      leg.send({ kind: 'refer', session, user: userOf(command.target) });
      break;
    case 'transfer-result':
      transferResult(leg, command);
      break;
    case 'release':
      release(leg, command);
      break;
  }
}

function release(leg: SipLeg, command: Extract<LegCommand, { kind: 'release' }>): void {
  if (leg.acknowledgeDue) leg.send({ kind: 'acknowledge', session: leg.session });
  leg.ended = true;
  leg.send({
    kind: 'end',
    session: leg.session,
    q850: command.cause,
    status: causeToStatus(command.cause),
    ...(command.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: command.retryAfterSeconds }),
  });
}

/** This leg cannot go on: both directions are told. */
function breakOff(leg: SipLeg, reason: string, cause: number): void {
  leg.count(reason);
  leg.ended = true;
  leg.send({ kind: 'end', session: leg.session, q850: cause, status: causeToStatus(cause) });
  leg.emit({ kind: 'release', cause });
}

function invite(leg: SipLeg, setup: Extract<LegCommand, { kind: 'setup' }>): void {
  let body: Uint8Array | undefined;
  if (setup.media !== undefined) {
    const offer = leg.negotiation.sendOffer(setup.media);
    if (!offer.ok) {
      leg.count(offer.error.reason);
      leg.ended = true;
      leg.emit({ kind: 'release', cause: offer.error.reason === 'no-port' ? 47 : 88 });
      return;
    }
    body = offer.value;
  } else {
    leg.lateOffer = true;
  }
  leg.send({
    kind: 'invite',
    session: leg.session,
    peer: setup.peer,
    parties: sipParties(setup, leg),
    hops: setup.hops,
    priority: setup.priority !== 'normal',
    ...(leg.target === undefined ? {} : { target: leg.target }),
    ...(leg.replaces === undefined ? {} : { replaces: leg.replaces }),
    ...sdp(body),
  });
}

function provisional(leg: SipLeg, status: number, exchange: MediaExchange | undefined): void {
  if (exchange?.kind === 'offer') {
    // Without reliable provisionals an offer waits for the 2xx (RFC 3261 13.2.1).
    leg.pendingOffer = exchange;
    exchange = undefined;
  }
  const body = exchange === undefined ? undefined : answerBody(leg, exchange);
  if (!leg.ended) leg.send({ kind: 'provisional', session: leg.session, status, ...sdp(body) });
}

function answerBody(leg: SipLeg, exchange: MediaExchange): Uint8Array | undefined {
  const answer = leg.negotiation.sendAnswer(exchange);
  if (answer.ok) return answer.value;
  breakOff(leg, answer.error.reason, answer.error.reason === 'no-port' ? 47 : 88);
  return undefined;
}

function connect(leg: SipLeg, command: Extract<LegCommand, { kind: 'connect' }>): void {
  let body: Uint8Array | undefined;
  if (leg.lateOffer) {
    const exchange = command.media?.kind === 'offer' ? command.media : leg.pendingOffer;
    const offer = exchange === undefined ? undefined : leg.negotiation.sendOffer(exchange);
    if (offer === undefined || !offer.ok) {
      breakOff(leg, offer?.ok === false ? offer.error.reason : 'no-offer', 88);
      return;
    }
    body = offer.value;
    leg.answerInAck = true;
  } else {
    body = command.media === undefined ? undefined : answerBody(leg, command.media);
    if (leg.ended) return;
    body ??= leg.negotiation.repeatLocal();
    if (leg.negotiation.state === 'offer-received') {
      breakOff(leg, 'connect-without-answer', 88);
      return;
    }
  }
  leg.confirmed = true;
  leg.pendingOffer = undefined;
  leg.send({
    kind: 'accept',
    session: leg.session,
    ...sdp(body),
    // RFC 3325 6: not to a peer outside the circle of trust.
    ...(!leg.trusted || command.connected === undefined || command.connected.privacy !== 'allowed'
      ? {}
      : {
          connected: {
            user: userOf(command.connected),
            ...(command.connected.displayName === undefined
              ? {}
              : { displayName: command.connected.displayName }),
          },
        }),
  });
}

function media(leg: SipLeg, exchange: MediaExchange): void {
  if (exchange.kind === 'offer') {
    if (!leg.confirmed && leg.lateOffer) leg.pendingOffer = exchange;
    else leg.count('offer-out-of-place');
    return;
  }
  if (leg.acknowledgeDue) {
    leg.acknowledgeDue = false;
    leg.modify = 'none';
    const answer = leg.negotiation.sendAnswer(exchange);
    leg.send({ kind: 'acknowledge', session: leg.session, ...sdp(answer.ok ? answer.value : undefined) });
    if (!answer.ok) breakOff(leg, answer.error.reason, 88);
    return;
  }
  if (leg.modify === 'theirs-offered') {
    modifyAccept(leg, exchange);
    return;
  }
  if (!leg.confirmed && leg.role === 'caller') {
    provisional(leg, 183, exchange);
    return;
  }
  if (!leg.negotiation.takesLate(exchange)) leg.count('answer-out-of-place');
}

function modify(leg: SipLeg, exchange: MediaExchange | undefined): void {
  if (leg.modify !== 'none') {
    leg.emit({ kind: 'modify-refuse', cause: 41, glare: true });
    return;
  }
  if (exchange === undefined) {
    leg.modify = 'ours-asked';
    leg.send({ kind: 'reinvite', session: leg.session });
    return;
  }
  const offer = leg.negotiation.sendOffer(exchange);
  if (!offer.ok) {
    leg.count(offer.error.reason);
    leg.emit({ kind: 'modify-refuse', cause: 88, glare: offer.error.status === 491 });
    return;
  }
  leg.modify = 'ours-offered';
  leg.send({ kind: 'reinvite', session: leg.session, ...sdp(offer.value) });
}

function modifyAccept(leg: SipLeg, exchange: MediaExchange | undefined): void {
  const session = leg.session;
  if (leg.modify === 'theirs-asked') {
    const offer = exchange?.kind === 'offer' ? leg.negotiation.sendOffer(exchange) : undefined;
    const bytes = offer?.ok ? offer.value : exchange === undefined ? leg.negotiation.offerAgain() : undefined;
    if (bytes === undefined) {
      leg.modify = 'none';
      leg.send({ kind: 'modify-refuse', session, status: 488 });
      return;
    }
    leg.answerInAck = true;
    leg.send({ kind: 'modify-accept', session, ...sdp(bytes) });
    return;
  }
  if (exchange !== undefined && leg.negotiation.takesLate(exchange)) return;
  if (leg.modify !== 'theirs-offered') {
    leg.count('modify-accept-out-of-place');
    return;
  }
  if (exchange === undefined) return; // the answer follows in a `media` message
  leg.modify = 'none';
  if (exchange.kind === 'refuse') {
    leg.negotiation.rejectPending();
    leg.send({ kind: 'modify-refuse', session, status: 488 });
    return;
  }
  const answer = leg.negotiation.sendAnswer(exchange);
  if (answer.ok && answer.value !== undefined) {
    leg.send({ kind: 'modify-accept', session, ...sdp(answer.value) });
  } else {
    leg.negotiation.rejectPending();
    leg.send({ kind: 'modify-refuse', session, status: 488 });
  }
}

/** RFC 4733 where the far end takes telephone-event, INFO (RFC 6086, dtmf-relay) where it does not. */
function userInput(leg: SipLeg, digit: string, durationMs: number): void {
  const stream = leg.negotiation
    .streams()
    .find(
      (s) =>
        s.active &&
        s.kind === 'audio' &&
        s.formats.some((f) => f.format.name === 'telephone-event' && f.sendPayloadType >= 0),
    );
  if (stream !== undefined) leg.digit(stream.index, digit, durationMs);
  else leg.send({ kind: 'info-dtmf', session: leg.session, digit, durationMs });
}

/** What the far end that asked for a transfer is notified of (RFC 3515 2.4.5). */
function transferResult(leg: SipLeg, command: Extract<LegCommand, { kind: 'transfer-result' }>): void {
  const { outcome, cause = 41 } = command;
  const status = { trying: 100, alerting: 180, success: 200, failure: causeToStatus(cause) }[outcome];
  const final = outcome === 'success' || outcome === 'failure';
  if (final) leg.referred = undefined;
  leg.send({ kind: 'notify-refer', session: leg.session, status, final });
}
