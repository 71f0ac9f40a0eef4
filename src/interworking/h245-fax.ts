/**
 * Fax on an H.323 leg (H.323 D.5): speech is replaced by T.38 over UDP and comes back, each way asked for by RequestMode (H.245 C.9). The sound's
 * channels are closed and one fax channel in each direction takes their place, or the other way round. What the other gateway is told is a change
 * of the stream's kind. A call that is a fax from the start (H.323 D.3) has nothing to be replaced: see `H245FaxOffers`.
 */
import type { H323Capability } from '../h323/media-contract.ts';
import type { MediaExchange } from '../meta/message.ts';
import type { H323Leg } from './h323-leg.ts';

/** The other gateway offers a fax: the far end is asked first. False: the offer is of none. */
export function faxOffered(leg: H323Leg, exchange: MediaExchange): boolean {
  const { negotiation, call } = leg;
  if (!negotiation.fax.isOffered(exchange)) return false;
  const capability = negotiation.fax.takeOffer(exchange);
  if (capability === undefined) {
    leg.count('fax-refused');
    leg.emit({ kind: 'modify-refuse', cause: 88, glare: false });
    return true;
  }
  if (negotiation.fax.active) {
    // A change within the fax: its channels stand.
    leg.emit({ kind: 'modify-accept', media: negotiation.faxAnswer()! });
    return true;
  }
  leg.modify = 'fax-asked';
  leg.send({ kind: 'request-mode', call, capability });
  return true;
}

/** The far end has answered our RequestMode. One to go back to sound is not waited for. */
export function modeAnswered(leg: H323Leg, accepted: boolean): void {
  const { negotiation } = leg;
  if (leg.modify !== 'fax-asked') return;
  leg.modify = 'none';
  const answer = accepted ? negotiation.faxAnswer() : undefined;
  if (answer === undefined) {
    leg.count('fax-refused');
    negotiation.fax.reject();
    drop(leg, 'image');
    leg.emit({ kind: 'modify-refuse', cause: 88, glare: false });
    return;
  }
  leg.emit({ kind: 'modify-accept', media: answer });
  enterFax(leg);
}

/**
 * H.245 C.9: what we send already is granted; a fax in place of sound, or sound again, needs the other side's consent first. Undefined: it is asked
 * now, and `faxSettled` follows.
 */
export function modeGranted(leg: H323Leg, wanted: H323Capability): boolean | undefined {
  const { negotiation } = leg;
  const sending = negotiation.stream(wanted.kind).send?.format.name;
  if (sending === wanted.codec) return true;
  const change =
    wanted.kind === 'image' ? !negotiation.fax.active : negotiation.fax.active && wanted.kind === 'audio';
  return change && wanted.kind !== 'video' && askOther(leg, wanted.kind, wanted) ? undefined : false;
}

/** The far end opens a channel of the other kind without having asked: taken for a request. True: the channel waits for the other side. */
export function channelAsksMode(leg: H323Leg, wanted: H323Capability): boolean {
  const { negotiation } = leg;
  if (wanted.kind === 'video' || (wanted.kind === 'image') === negotiation.fax.active) return false;
  if (leg.modeWanted === wanted.kind) return true;
  if (leg.modify === 'fax-asked') return wanted.kind === 'image';
  return askOther(leg, wanted.kind, wanted);
}

/** The far end took no fax channel after all. */
export function faxFailed(leg: H323Leg): void {
  if (leg.negotiation.answerDue) leg.breakOff('fax-refused', 88);
  else if (!askOther(leg, 'audio')) leg.breakOff('channel-refused', 47);
}

function askOther(leg: H323Leg, kind: 'audio' | 'image', wanted?: H323Capability): boolean {
  const { negotiation } = leg;
  if (!leg.confirmed || leg.pendingConnect !== undefined || leg.modify !== 'none') return false;
  if (negotiation.offerOpen || negotiation.answerDue || leg.modeWanted !== undefined) return false;
  const offer =
    kind === 'image'
      ? wanted && negotiation.fax.offer(wanted)
      : negotiation.fax.active && negotiation.soundOffer();
  if (!offer) return false;
  leg.modeWanted = kind;
  leg.modify = 'ours';
  leg.emit({ kind: 'modify', media: offer });
  return true;
}

/** The other side has answered what the far end wished for. */
export function faxSettled(leg: H323Leg, agreed: boolean): void {
  const { modeWanted, call } = leg;
  leg.modeWanted = undefined;
  if (modeWanted === undefined) return;
  if (!agreed) leg.count('mode-refused');
  // contract.ts: ignored where no RequestMode waits.
  leg.send({ kind: 'answer-mode', call, accepted: agreed });
  if (!agreed) {
    drop(leg, modeWanted);
    return;
  }
  if (modeWanted === 'image') enterFax(leg);
  else leaveFax(leg, false);
}

/** Sound ends; channels of the fax are opened and taken by `reconcile`. */
function enterFax(leg: H323Leg): void {
  const { negotiation } = leg;
  negotiation.fax.begin();
  leg.refusals.delete('image');
  close(leg, 'audio');
}

/** The fax ends; the sound's channels follow by `reconcile`. `ask`: the far end does not know yet. */
export function leaveFax(leg: H323Leg, ask: boolean): void {
  const { negotiation, call } = leg;
  if (!negotiation.fax.active) return;
  const format = negotiation.current();
  const capability = format === undefined ? undefined : negotiation.audio.channel(format);
  if (ask && capability !== undefined) leg.send({ kind: 'request-mode', call, capability });
  negotiation.fax.end();
  close(leg, 'image');
  // Who is not master would else wait for the far end's channel, which waits for ours.
  leg.waited = true;
}

function close(leg: H323Leg, media: 'audio' | 'image'): void {
  const { call } = leg;
  const stream = leg.negotiation.stream(media);
  const opening = leg.opening.delete(media);
  if (opening || stream.send !== undefined)
    leg.send({ kind: 'close-channel', call, media, direction: 'send' });
  if (stream.receive !== undefined) leg.send({ kind: 'close-channel', call, media, direction: 'receive' });
  stream.closed('send');
  stream.closed('receive');
}

/** A channel that waited for what does not come. */
function drop(leg: H323Leg, media: 'audio' | 'image'): void {
  const { call } = leg;
  if (leg.asked.delete(media)) leg.send({ kind: 'reject-channel', call, media, reason: 'codec' });
}
