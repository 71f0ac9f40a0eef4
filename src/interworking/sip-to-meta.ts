/** SIP events → neutral leg events. The only knowledge of both vocabularies in this direction. */
import type { LegSetup } from '../call/leg.ts';
import type { Writable } from '../machine/machine.ts';
import type { MediaExchange, Party, Priority } from '../meta/message.ts';
import type { SipBody, SipEvent } from '../sip/contract.ts';
import { statusToCause } from './cause.ts';
import type { SipLeg } from './sip-leg.ts';
import { calleeOf, callerOf, connectedOf, divertingOf, targetOf } from './sip-parties.ts';

const SDP = 'application/sdp';

export type Incoming = Extract<SipEvent, { kind: 'incoming' }>;

/** The set-up of an incoming INVITE, or the SIP status that refuses it. */
export function setupFromInvite(
  leg: SipLeg,
  event: Incoming,
  account?: { readonly number: string },
  /** What we are registered as at this peer. */
  trunkUser?: string,
): LegSetup | { readonly kind: 'refused'; readonly status: number; readonly reason: string } {
  const trust = { trusted: leg.trusted, ...(account === undefined ? {} : { account: account.number }) };
  const callee = calleeOf(event.request, trunkUser);
  if (callee.number === '') return { kind: 'refused', status: 404, reason: 'no-callee' };
  let media: MediaExchange | undefined;
  if (event.body === undefined) {
    leg.lateOffer = true;
  } else {
    const offer = leg.negotiation.receiveOffer(event.body.bytes, 0);
    if (!offer.ok) return { kind: 'refused', status: offer.error.status, reason: offer.error.reason };
    if (offer.value.kind !== 'refresh') media = offer.value;
  }
  const diverting = divertingOf(event.request, trust);
  const priority: Priority = 'normal'; // GW1 decides by number rules; a foreign Priority header is not believed
  const setup: Writable<LegSetup> = {
    kind: 'setup',
    peer: event.peer,
    caller: callerOf(event.request, trust),
    callee,
    hops: Math.max(0, Math.min(70, event.request.maxForwards - 1)),
    priority,
  };
  if (diverting !== undefined) setup.diverting = diverting;
  if (media !== undefined) setup.media = media;
  return setup;
}

export function eventFromSip(leg: SipLeg, event: SipEvent): void {
  switch (event.kind) {
    case 'provisional':
      provisional(leg, event);
      break;
    case 'answered':
      answered(leg, event);
      break;
    case 'acknowledged':
      acknowledged(leg, event.body);
      break;
    case 'modify':
      modifyAsked(leg, event.body);
      break;
    case 'modify-accepted':
      modifyAccepted(leg, event);
      break;
    case 'modify-refused':
      leg.negotiation.rejectPending();
      if (leg.modify === 'ours-restated') {
        leg.modify = 'none';
        break;
      }
      leg.modify = 'none';
      leg.emit({ kind: 'modify-refuse', cause: statusToCause(event.status), glare: event.glare });
      break;
    case 'info-dtmf':
      leg.emit({ kind: 'user-input', digit: event.digit, durationMs: event.durationMs });
      break;
    case 'refer':
      leg.referred = event.replaces; // stays here: only the new call to the same peer is told
      leg.emit({ kind: 'transfer-request', target: targetOf(event.target) });
      break;
    case 'refer-progress':
      transferProgress(leg, event);
      break;
    case 'ended':
      leg.emit({
        kind: 'release',
        cause: endCause(event),
        ...(event.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: event.retryAfterSeconds }),
        ...redirectOf(leg, event),
      });
      break;
    default:
      break;
  }
}

/** RFC 3261 8.1.3.4: the first contact of a 3xx; only its number counts, our dial rules say where that is. */
function redirectOf(leg: SipLeg, event: Extract<SipEvent, { kind: 'ended' }>): { redirect?: Party } {
  if (leg.role !== 'callee' || leg.confirmed || event.redirect === undefined) return {};
  const party = targetOf(event.redirect);
  return party.number === '' ? {} : { redirect: party };
}

function transferProgress(leg: SipLeg, event: Extract<SipEvent, { kind: 'refer-progress' }>): void {
  const { status, final } = event;
  if (!final) leg.emit({ kind: 'transfer-progress', outcome: 'alerting' });
  else if (status < 300) leg.emit({ kind: 'transfer-progress', outcome: 'success' });
  else leg.emit({ kind: 'transfer-progress', outcome: 'failure', cause: statusToCause(status) });
}

/** RFC 3398 8.2.6.1: a Q.850 Reason wins over the status; a plain BYE is normal clearing. */
function endCause(event: Extract<SipEvent, { kind: 'ended' }>): number {
  if (event.q850 !== undefined && event.q850 >= 1 && event.q850 <= 127) return event.q850;
  if (event.status >= 300) return statusToCause(event.status);
  switch (event.by) {
    case 'timeout':
      return 102; // recovery on timer expiry
    case 'transport':
      return 38; // network out of order
    case 'protocol':
      return 111;
    default:
      return 16;
  }
}

function provisional(leg: SipLeg, event: Extract<SipEvent, { kind: 'provisional' }>): void {
  if (event.status === 100 || event.status === 199) return; // RFC 6228: an early dialog ended; another branch goes on
  const media = answerIn(leg, event.body, event.branch, 'ignore');
  const rest = { branch: event.branch, ...(media === undefined ? {} : { media }) };
  if (event.status === 180) leg.emit({ kind: 'alerting', ...rest });
  else leg.emit({ kind: 'progress', ...rest });
}

/** An SDP answer; what is wrong with one in a provisional is counted, in a final it ends the leg. */
function answerIn(
  leg: SipLeg,
  body: SipBody | undefined,
  branch: number,
  onProblem: 'ignore' | 'end',
): MediaExchange | undefined {
  if (body === undefined || body.contentType !== SDP || leg.lateOffer) return undefined;
  const answer = leg.negotiation.receiveAnswer(body.bytes, branch);
  if (answer.ok) return answer.value;
  leg.count(answer.error.reason);
  if (answer.error.reason === 'answer-changed') leg.restate = onProblem === 'end';
  else if (onProblem === 'end') incompatible(leg);
  return undefined;
}

/** A far end whose 2xx described something else than was agreed shall know what that is, and may change it properly. */
function restate(leg: SipLeg): void {
  leg.restate = false;
  const offer = leg.negotiation.offerAgain();
  if (offer === undefined) return;
  leg.modify = 'ours-restated';
  leg.send({ kind: 'reinvite', session: leg.session, body: { contentType: SDP, bytes: offer } });
}

/** Cause 88: incompatible destination (the far end's description cannot be used). */
function incompatible(leg: SipLeg): void {
  leg.ended = true;
  leg.send({ kind: 'end', session: leg.session, q850: 88, status: 488 });
  leg.emit({ kind: 'release', cause: 88 });
}

function answered(leg: SipLeg, event: Extract<SipEvent, { kind: 'answered' }>): void {
  leg.confirmed = true;
  // RFC 3325 5: an identity asserted by a peer that is not trusted is ignored, in responses too.
  const connected = leg.trusted
    ? connectedOf(event.connected, event.connectedRestricted === true)
    : undefined;
  const party = connected === undefined ? {} : { connected };
  if (event.needsAck) {
    leg.acknowledgeDue = true;
    const offer =
      event.body === undefined ? undefined : leg.negotiation.receiveOffer(event.body.bytes, event.branch);
    if (offer === undefined || !offer.ok || offer.value.kind === 'refresh') {
      leg.count(offer?.ok === false ? offer.error.reason : 'no-offer');
      leg.send({ kind: 'acknowledge', session: leg.session }); // RFC 3261 14.2: a 2xx is always acknowledged
      incompatible(leg);
      return;
    }
    leg.emit({ kind: 'connect', branch: event.branch, ...party, media: offer.value });
    return;
  }
  const media = answerIn(leg, event.body, event.branch, 'end');
  if (leg.ended) return;
  if (leg.negotiation.state === 'offer-sent') {
    // RFC 3261 13.2.1: the answer must have come by the 2xx.
    leg.count('no-answer-in-2xx');
    incompatible(leg);
    return;
  }
  leg.emit({ kind: 'connect', branch: event.branch, ...party, ...(media === undefined ? {} : { media }) });
  if (leg.restate) restate(leg);
}

function acknowledged(leg: SipLeg, body: SipBody | undefined): void {
  if (!leg.answerInAck) return;
  leg.answerInAck = false;
  if (leg.negotiation.state !== 'offer-sent') return;
  if (body === undefined) {
    leg.count('no-answer-in-ack');
    incompatible(leg);
    return;
  }
  const answer = leg.negotiation.receiveAnswer(body.bytes, 0);
  if (!answer.ok) {
    leg.count(answer.error.reason);
    incompatible(leg);
    return;
  }
  leg.modify = 'none';
  if (answer.value !== undefined) settled(leg, answer.value);
}

/** The other gateway waits for this answer; or it knew nothing of our offer, and is asked for what came of it. */
function settled(leg: SipLeg, media: MediaExchange): void {
  leg.emit({ kind: media.kind === 'offer' ? 'modify' : 'media', media });
}

function modifyAsked(leg: SipLeg, body: SipBody | undefined): void {
  if (body === undefined) {
    leg.modify = 'theirs-asked';
    leg.emit({ kind: 'modify' });
    return;
  }
  const offer = leg.negotiation.receiveOffer(body.bytes, 0);
  if (!offer.ok) {
    leg.count(offer.error.reason);
    leg.send({ kind: 'modify-refuse', session: leg.session, status: offer.error.status });
    return;
  }
  if (offer.value.kind === 'refresh') {
    // A session refresh (RFC 4028) changes nothing: answered here, the other side never hears of it.
    const same = leg.negotiation.repeatLocal();
    leg.send({
      kind: 'modify-accept',
      session: leg.session,
      ...(same === undefined ? {} : { body: { contentType: SDP, bytes: same } }),
    });
    return;
  }
  leg.modify = 'theirs-offered';
  leg.emit({ kind: 'modify', media: offer.value });
}

function modifyAccepted(leg: SipLeg, event: Extract<SipEvent, { kind: 'modify-accepted' }>): void {
  const step = leg.modify;
  if (step === 'ours-asked') {
    leg.acknowledgeDue = event.needsAck;
    const offer = event.body === undefined ? undefined : leg.negotiation.receiveOffer(event.body.bytes, 0);
    if (offer === undefined || !offer.ok) {
      if (event.needsAck) leg.send({ kind: 'acknowledge', session: leg.session });
      leg.acknowledgeDue = false;
      leg.modify = 'none';
      leg.emit({ kind: 'modify-refuse', cause: 88, glare: false });
      return;
    }
    if (offer.value.kind === 'refresh') {
      // Same description as before: acknowledge with ours unchanged; the asker is given what stands.
      leg.modify = 'none';
      leg.acknowledgeDue = false;
      const same = leg.negotiation.repeatLocal();
      leg.send({
        kind: 'acknowledge',
        session: leg.session,
        ...(same === undefined ? {} : { body: { contentType: SDP, bytes: same } }),
      });
      leg.emit({ kind: 'modify-accept' });
      return;
    }
    leg.emit({ kind: 'modify-accept', media: offer.value });
    return;
  }
  leg.modify = 'none';
  const answer = event.body === undefined ? undefined : leg.negotiation.receiveAnswer(event.body.bytes, 0);
  if (answer === undefined || !answer.ok) {
    leg.count(answer?.ok === false ? answer.error.reason : 'no-answer-in-2xx');
    if (step === 'ours-restated') return incompatible(leg);
    // Its 2xx is not meant for our offer (speech, where a fax was asked for): as good as refused, and it is told what stands.
    leg.negotiation.rejectPending();
    leg.emit({ kind: 'modify-refuse', cause: 88, glare: false });
    return restate(leg);
  }
  const change = answer.value === undefined ? {} : { media: answer.value };
  if (step !== 'ours-restated') leg.emit({ kind: 'modify-accept', ...change });
  else if (change.media !== undefined) settled(leg, change.media);
}
