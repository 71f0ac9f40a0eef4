/** Logical channels of an H.323 leg: which to open, which of the far end's to take, and when the other gateway is told. */
import type { H323Event } from '../h323/contract.ts';
import type { MediaOffer } from '../meta/message.ts';
import { channelAsksMode, faxFailed } from './h245-fax.ts';
import { sendPayloadType } from './h245-formats.ts';
import type { H245Stream } from './h245-stream.ts';
import type { H323Leg } from './h323-leg.ts';

/** contract.ts `capabilities`: who is not master waits so long for the far end's channel, to use the same codec. */
const OPEN_WAIT_MS = 1000;
/** From the far end's Connect until its media must be settled. */
export const MEDIA_WAIT_MS = 15_000;
/** Both sides changed at once: the numbers of RFC 3261 14.1, so that one of us is first. */
const RETRY_MS = { caller: 1000, callee: 2100 } as const;
const MAX_REFUSALS = 3;

/** Something is known now that was not before: goes as far as it can. */
export function reconcile(leg: H323Leg): void {
  if (leg.ended) return;
  judgeAsked(leg);
  openOurs(leg);
  settleAnswer(leg);
  if (!leg.ended) reconcileVideo(leg);
}

/** What we can receive, where it is not what the far end was told. */
export function declare(leg: H323Leg): void {
  const capabilities = leg.negotiation.ownCapabilities();
  const text = JSON.stringify(capabilities);
  if (leg.declared === text) return;
  leg.declared = text;
  leg.declaredVideo = videoText(leg);
  leg.send({ kind: 'capabilities', call: leg.call, capabilities });
}

/** Video came or went. Nothing is said where it did not: some peers close their channels at any new set. */
export function declareVideo(leg: H323Leg): void {
  if (leg.declaredVideo !== videoText(leg)) declare(leg);
}

function videoText({ negotiation: { video } }: H323Leg): string {
  return JSON.stringify(video.capabilities(video.candidates));
}

/** Holds or resumes the far end as the other side wishes: H.323 8.4.6, the empty capability set. */
export function applyWish(leg: H323Leg): void {
  if (leg.ended || !leg.confirmed || leg.negotiation.wanted !== leg.holding) return;
  leg.holding = !leg.negotiation.wanted;
  leg.send({ kind: leg.holding ? 'hold' : 'retrieve', call: leg.call });
}

function judgeAsked(leg: H323Leg): void {
  const { negotiation, call } = leg;
  if (!negotiation.settled) return;
  for (const [media, { channel, conflict }] of leg.asked) {
    if (channelAsksMode(leg, channel.capability)) continue;
    leg.asked.delete(media);
    const stream = negotiation.stream(media);
    const problem = stream.channelProblem(channel);
    if (problem !== undefined) {
      const reason = conflict && leg.master && problem === 'codec' ? 'conflict' : problem;
      leg.count(`channel-${reason}`);
      leg.send({ kind: 'reject-channel', call, media, reason });
      continue;
    }
    stream.accepted(channel);
    leg.send({ kind: 'accept-channel', call, media, local: stream.local() });
  }
}

function openOurs(leg: H323Leg): void {
  const { negotiation } = leg;
  if (!negotiation.settled || !negotiation.farKnown || negotiation.farHeld) return;
  if (negotiation.fax.active) {
    const { image } = negotiation;
    if (image.send !== undefined || leg.opening.has('image') || leg.refusals.has('image')) return;
    // Only of a call that is a fax from the start it is not known before that the far end has it.
    if (!open(leg, image) && negotiation.answerDue) leg.breakOff('no-common-codec', 88);
    return;
  }
  if (leg.opening.has('audio') || negotiation.sending !== undefined) return;
  if (!leg.master && !leg.waited && negotiation.receiving === undefined) {
    leg.wait('open', OPEN_WAIT_MS);
    return;
  }
  if (!open(leg, negotiation.audio)) withoutCodec(leg);
}

/** Our channel of a stream; false: the far end takes none of what is agreed. */
function open(leg: H323Leg, stream: H245Stream): boolean {
  const format = stream.choose();
  const capability = format === undefined ? undefined : stream.channel(format);
  if (format === undefined || capability === undefined) return false;
  const payloadType = sendPayloadType(format);
  leg.opening.set(stream.kind, format);
  leg.send({
    kind: 'open-channel',
    call: leg.call,
    capability,
    local: stream.local(),
    ...(payloadType === undefined ? {} : { payloadType }),
  });
  return true;
}

/** The far end can receive nothing of what the other side agreed to. */
function withoutCodec(leg: H323Leg): void {
  const { negotiation } = leg;
  if (negotiation.answerDue) {
    if (negotiation.fax.takeInstead()) openOurs(leg);
    else leg.breakOff('no-common-codec', 88);
    return;
  }
  if (!leg.confirmed || leg.modify !== 'none') return; // a change is possible only of a call that stands
  const offer = leg.offeredAnew ? undefined : negotiation.capabilityOffer();
  leg.offeredAnew = true;
  if (offer?.ok !== true) {
    leg.breakOff('no-common-codec', 88);
    return;
  }
  leg.modify = 'ours';
  if (isFaxOffer(offer.value)) leg.modeWanted = 'image';
  leg.emit({ kind: 'modify', media: offer.value });
}

function isFaxOffer({ streams }: MediaOffer): boolean {
  return streams.some((s) => s.kind === 'image' && !s.refused);
}

/** Video follows the sound: a call goes on without it. */
function reconcileVideo(leg: H323Leg): void {
  const { negotiation } = leg;
  const { video } = negotiation;
  if (negotiation.answerDue || negotiation.offerOpen) return;
  closeStaleVideo(leg);
  if (video.candidates.length === 0) {
    offerVideo(leg);
    return;
  }
  if (!negotiation.farKnown || negotiation.farHeld || video.send !== undefined) return;
  if (leg.opening.has('video') || (leg.refusals.get('video') ?? 0) >= MAX_REFUSALS) return;
  open(leg, video);
}

/** Channels of a stream that is not wanted any more, or with another codec. */
function closeStaleVideo(leg: H323Leg): void {
  const { send, receive } = leg.negotiation.video;
  const opening = leg.opening.get('video');
  if (opening !== undefined && !leg.negotiation.agreedOn(opening.name)) {
    leg.opening.delete('video'); // contract.ts: nothing follows where the channel was not open
    closeVideo(leg, 'send');
  }
  if (send !== undefined && !leg.negotiation.agreedOn(send.format.name)) closeVideo(leg, 'send');
  if (receive !== undefined && !leg.negotiation.agreedOn(receive.format.name)) closeVideo(leg, 'receive');
}

function closeVideo(leg: H323Leg, direction: 'send' | 'receive'): void {
  leg.negotiation.video.closed(direction);
  leg.send({ kind: 'close-channel', call: leg.call, media: 'video', direction });
}

/** The far end's video cannot be reached; what it sends may still be seen. */
function withoutVideo(leg: H323Leg, reason: string): void {
  leg.count(reason);
  leg.refusals.set('video', MAX_REFUSALS);
  closeVideo(leg, 'send');
}

/** Its capabilities say that the far end has video, which nobody knew when the call was offered. */
function offerVideo(leg: H323Leg): void {
  if (!leg.confirmed || leg.pendingConnect !== undefined || leg.modify !== 'none' || leg.holding) return;
  if (leg.negotiation.sending === undefined) return; // sound first
  const offer = leg.negotiation.videoOffer();
  if (offer === undefined) return;
  leg.modify = 'ours';
  leg.emit({ kind: 'modify', media: offer });
}

/** Callee: the answer is made once both directions are known, so that it names the codec of each. */
function settleAnswer(leg: H323Leg): void {
  const { negotiation } = leg;
  if (leg.ended || !negotiation.answerDue || leg.modify === 'fax-asked') return;
  const { send, receive } = negotiation.main;
  if (send === undefined) {
    // The far end may be on hold from the start: what it sends is all there is.
    if (!negotiation.farHeld || receive === undefined) return;
  } else if (receive === undefined && !leg.waited) {
    leg.wait('open', OPEN_WAIT_MS);
    return;
  }
  makeAnswer(leg);
}

export function makeAnswer(leg: H323Leg): void {
  const { sending, receiving, fax } = leg.negotiation;
  const codecs = [sending, receiving].filter((f) => f !== undefined);
  leg.answer = fax.active
    ? leg.negotiation.faxAnswer()
    : leg.negotiation.answer(codecs.filter((f, i) => codecs.findIndex((o) => o.id === f.id) === i));
  tell(leg);
}

/** The other gateway hears of what is settled: with Connect where that came, at once where there is something to hear. */
export function tell(leg: H323Leg): void {
  const { negotiation, pendingConnect } = leg;
  if (leg.ended) return;
  if (pendingConnect !== undefined) {
    if (negotiation.answerDue || (leg.lateOffer && !negotiation.farKnown)) return;
    const offer = leg.lateOffer ? negotiation.capabilityOffer() : undefined;
    if (offer?.ok === false) {
      leg.breakOff(offer.error.reason, offer.error.cause);
      return;
    }
    const media = offer?.value ?? leg.answer;
    if (offer !== undefined && isFaxOffer(offer.value)) leg.modeWanted = 'image';
    leg.pendingConnect = undefined;
    leg.answer = undefined;
    leg.due.delete('media');
    leg.emit({ kind: 'connect', branch: 0, ...pendingConnect, ...(media === undefined ? {} : { media }) });
    if (!leg.lateOffer) applyWish(leg);
    return;
  }
  if (leg.answer !== undefined && leg.inBand) {
    const media = leg.answer;
    leg.answer = undefined;
    leg.emit({ kind: 'progress', branch: 0, media });
  }
}

/** The far end's hold or resumption, as an offer to the other gateway. */
export function change(leg: H323Leg): void {
  if (!leg.confirmed || leg.pendingConnect !== undefined) return;
  if (leg.modify !== 'none' || leg.negotiation.offerOpen) {
    leg.changeDue = true;
    return;
  }
  const offer = leg.negotiation.agreedOffer();
  if (offer === undefined) return;
  leg.modify = 'ours';
  leg.emit({ kind: 'modify', media: offer });
}

/** A change is over, one way or the other. */
export function changed(leg: H323Leg, retry: boolean): void {
  leg.modify = 'none';
  if (retry) leg.wait('retry', RETRY_MS[leg.role]);
  else if (leg.changeDue) {
    leg.changeDue = false;
    change(leg);
  }
  reconcile(leg);
}

export function channelEvent(leg: H323Leg, event: H323Event): void {
  const { negotiation } = leg;
  switch (event.kind) {
    case 'channel-asked':
      leg.asked.set(event.channel.kind, { channel: event.channel, conflict: event.conflict });
      reconcile(leg);
      break;
    case 'channel-opened': {
      const media = event.channel.kind;
      leg.opening.delete(media);
      leg.refusals.delete(media);
      if (negotiation.stream(media).opened(event.channel)) reconcile(leg);
      else if (media !== 'video') leg.breakOff('media-address', 47);
      else withoutVideo(leg, 'media-address');
      break;
    }
    case 'channel-rejected':
      rejected(leg, event);
      break;
    case 'channel-closed':
      negotiation.stream(event.media).closed(event.direction);
      reconcile(leg);
      break;
    default:
      break;
  }
}

function rejected(leg: H323Leg, event: Extract<H323Event, { kind: 'channel-rejected' }>): void {
  const { media, reason } = event;
  const format = leg.opening.get(media);
  leg.opening.delete(media);
  leg.count(`channel-rejected-${reason}`);
  const refusals = (leg.refusals.get(media) ?? 0) + 1;
  leg.refusals.set(media, refusals);
  if (media === 'image') return faxFailed(leg);
  if (media === 'video') {
    if (format !== undefined) leg.negotiation.video.exclude(format);
    return reconcile(leg);
  }
  if (refusals > MAX_REFUSALS) {
    leg.breakOff('channel-refused', 47);
    return;
  }
  switch (reason) {
    case 'codec':
      if (format !== undefined) leg.negotiation.audio.exclude(format);
      break;
    case 'conflict': // the master's channel is on its way; ours follows its codec
      leg.waited = false;
      leg.master = false;
      break;
    default:
      leg.breakOff('channel-refused', 47);
      return;
  }
  reconcile(leg);
}
