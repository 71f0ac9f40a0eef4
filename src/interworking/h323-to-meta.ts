/** H.323 events → neutral leg events. The only knowledge of both vocabularies in this direction. */
import type { LegSetup } from '../call/leg.ts';
import type { H323Event } from '../h323/contract.ts';
import type { H323Capability } from '../h323/media-contract.ts';
import type { Party } from '../meta/message.ts';
import { change, channelEvent, MEDIA_WAIT_MS, makeAnswer, reconcile, tell } from './h245-channels.ts';
import { modeAnswered, modeGranted } from './h245-fax.ts';
import type { H323Leg, H323Timer } from './h323-leg.ts';
import { partyFromH323 } from './h323-parties.ts';

export type IncomingH323 = Extract<H323Event, { kind: 'incoming' }>;

/** The set-up of an incoming call, or why it is refused (Q.850). */
export function setupFromH323(
  leg: H323Leg,
  event: IncomingH323,
): LegSetup | { readonly kind: 'refused'; readonly cause: number; readonly reason: string } {
  const { trusted } = leg.peer;
  const trust = { trusted, ...(event.account === undefined ? {} : { account: event.account }) };
  const callee = partyFromH323(event.callee, { trusted: false });
  if (callee.number === '') return { kind: 'refused', cause: 28, reason: 'no-callee' };
  if (event.hops < 1) return { kind: 'refused', cause: 25, reason: 'hops' }; // a loop, most likely
  const fast = leg.peer.fastStart ? leg.negotiation.fastStartOffer(event.fastStart) : undefined;
  if (fast?.ok === false) return { kind: 'refused', ...fast.error };
  const offer =
    fast?.value === undefined ? leg.negotiation.assumedOffer() : { ok: true as const, value: fast.value };
  if (!offer.ok) return { kind: 'refused', ...offer.error };
  const diverting =
    trusted && event.redirecting !== undefined ? divertingOf(event.redirecting.number) : undefined;
  return {
    kind: 'setup',
    peer: event.peer,
    caller: partyFromH323(event.caller, trust),
    callee: { ...callee, privacy: 'allowed' },
    hops: Math.min(70, event.hops), // the endpoint has counted this gateway
    priority: 'normal', // GW1 decides by number rules
    ...(diverting === undefined ? {} : { diverting }),
    media: offer.value,
  };
}

function divertingOf(number: string): Party {
  const party = { number, numberType: 'unknown', presentation: 'allowed', verified: true } as const;
  return partyFromH323(party, { trusted: true });
}

export function eventFromH323(leg: H323Leg, event: H323Event): void {
  switch (event.kind) {
    case 'proceeding':
      leg.emit({ kind: 'proceeding' });
      break;
    case 'alerting':
      alerting(leg, event.inBand);
      break;
    case 'progress':
      progress(leg, event);
      break;
    case 'connected':
      connected(leg, event);
      break;
    case 'fast-start-answered':
      if (!leg.negotiation.fastStartAnswered(event.channels)) leg.breakOff('fast-start-answer', 88);
      else makeAnswer(leg);
      break;
    case 'fast-start-refused':
      if (leg.role === 'caller') leg.negotiation.fastStartGone();
      break;
    case 'capabilities':
      leg.master = event.master;
      capabilities(leg, event);
      break;
    case 'far-hold':
      leg.negotiation.farHeld = true;
      change(leg);
      reconcile(leg);
      break;
    case 'far-retrieve':
      leg.negotiation.farHeld = false;
      change(leg);
      reconcile(leg);
      break;
    case 'mode-asked':
      modeAsked(leg, event.capability);
      break;
    case 'mode-answered':
      modeAnswered(leg, event.accepted);
      reconcile(leg);
      break;
    case 'user-input':
      leg.emit({ kind: 'user-input', digit: event.digit, durationMs: event.durationMs });
      break;
    case 'transfer-asked':
      // Stays here: only the new call to the same peer is told.
      leg.referred = event.consultation === undefined ? undefined : { callIdentity: event.consultation };
      leg.emit({ kind: 'transfer-request', target: partyFromH323(event.target, { trusted: false }) });
      break;
    case 'refresh-picture':
      leg.count('refresh-picture'); // the plane makes no picture-loss requests yet
      break;
    case 'released':
      leg.emit({
        kind: 'release',
        cause: event.cause,
        ...(event.redirect === undefined
          ? {}
          : { redirect: partyFromH323(event.redirect, { trusted: false }) }),
      });
      break;
    default:
      channelEvent(leg, event);
  }
}

function modeAsked(leg: H323Leg, wanted: H323Capability): void {
  const accepted = modeGranted(leg, wanted);
  if (accepted === undefined) return;
  if (!accepted) leg.count('mode-refused');
  leg.send({ kind: 'answer-mode', call: leg.call, accepted });
}

export function legTimer(leg: H323Leg, timer: H323Timer): void {
  switch (timer) {
    case 'open':
      leg.waited = true;
      reconcile(leg);
      break;
    case 'media':
      leg.breakOff('media-not-settled', 102);
      break;
    case 'retry':
      change(leg);
      break;
  }
}

/** Takes the answer along where it is known; without tones in the media the far end's ringing stays the other side's business. */
function alerting(leg: H323Leg, inBand: boolean): void {
  leg.inBand ||= inBand;
  if (leg.inBand) {
    leg.emit({ kind: 'alerting', branch: 0 });
    tell(leg);
    return;
  }
  const media = leg.answer;
  leg.answer = undefined;
  leg.emit({ kind: 'alerting', branch: 0, ...(media === undefined ? {} : { media }) });
}

function progress(leg: H323Leg, event: Extract<H323Event, { kind: 'progress' }>): void {
  leg.inBand ||= event.inBand;
  const media = leg.inBand ? leg.answer : undefined;
  if (media !== undefined) leg.answer = undefined;
  leg.emit({
    kind: 'progress',
    branch: 0,
    ...(event.cause === undefined ? {} : { cause: event.cause }),
    ...(media === undefined ? {} : { media }),
  });
}

function connected(leg: H323Leg, event: Extract<H323Event, { kind: 'connected' }>): void {
  leg.confirmed = true;
  const party =
    leg.peer.trusted && event.connected !== undefined
      ? partyFromH323(event.connected, { trusted: true })
      : undefined;
  leg.pendingConnect = party === undefined || party.number === '' ? {} : { connected: party };
  leg.wait('media', MEDIA_WAIT_MS);
  reconcile(leg);
  tell(leg);
}

function capabilities(leg: H323Leg, event: Extract<H323Event, { kind: 'capabilities' }>): void {
  const { negotiation } = leg;
  negotiation.farCapabilities(event.capabilities);
  leg.offeredAnew = false;
  const sending = negotiation.sending;
  leg.refusals.delete('video');
  if (sending !== undefined && !negotiation.audio.farTakes(sending)) {
    leg.send({ kind: 'close-channel', call: leg.call, media: 'audio', direction: 'send' });
  }
  reconcile(leg);
  tell(leg);
}
