/** The way of a fax's packets, both directions: packet-path.ts calls here where the stream is one. */
import type { Millis } from '../machine/machine.ts';
import { isIfp } from '../rtp/ifp.ts';
import { ACCEPTED, REFUSED } from '../rtp/refusal.ts';
import type { SourceWords } from '../rtp/source-words.ts';
import type { MediaFrame } from '../tunnel/media-frame.ts';
import type { FaxStream } from './fax-stream.ts';
import type { StreamLeg } from './stream-leg.ts';
import { FRAMES_TO_TUNNEL } from './stream-row.ts';
import type { Udp } from './udp.ts';

/** One datagram: each IFP packet that is new becomes a frame. */
export function faxFromFarEnd(
  leg: StreamLeg,
  fax: FaxStream,
  frame: MediaFrame,
  bytes: Uint8Array,
  start: number,
  length: number,
  source: SourceWords,
  now: Millis,
): void {
  const { check } = fax;
  const verdict = check.check(bytes, start, length, source, now);
  if (verdict !== ACCEPTED) {
    leg.refused[verdict]!++;
    return;
  }
  leg.cameIn(length);
  toTunnel(leg, fax, frame, now);
}

/** IFP packets that waited long enough for one before them (parities might have restored it). */
export function faxReleased(leg: StreamLeg, fax: FaxStream, frame: MediaFrame, now: Millis): void {
  fax.check.release(now);
  toTunnel(leg, fax, frame, now);
}

function toTunnel(leg: StreamLeg, fax: FaxStream, frame: MediaFrame, now: Millis): void {
  const lanes = leg.session.lanes;
  if (lanes === undefined) return;
  for (let i = 0; i < fax.check.count; i++) {
    const ifp = fax.check.fresh[i]!;
    frame.flags = leg.urgency;
    frame.format = fax.format.format;
    frame.stream = leg.config.stream;
    frame.sequence = fax.nextFrame();
    frame.timestamp = ifp.sequence;
    frame.sent = now & 0xffff;
    frame.bytes = ifp.bytes;
    frame.start = ifp.start;
    frame.length = ifp.length;
    frame.patient = true;
    leg.cells[leg.row + FRAMES_TO_TUNNEL]!++;
    lanes.send(frame, now);
  }
  frame.patient = false;
}

/** What a frame of a fax has to be besides what every frame has: ACCEPTED or a reason out of REFUSED. */
export function checkFaxFrame(fax: FaxStream, frame: MediaFrame, now: Millis): number {
  if (frame.timestamp > 0xffff) return REFUSED.frameFormat;
  if (!isIfp(frame.bytes, frame.start, frame.length)) return REFUSED.ifp;
  if (!fax.bytes.has(frame.length, now)) return REFUSED.frameRate;
  return ACCEPTED;
}

/** A frame in its turn, as a datagram of our own. */
export function faxToFarEnd(leg: StreamLeg, fax: FaxStream, frame: MediaFrame, udp: Udp): void {
  if (leg.destination === undefined) return;
  const { bytes, start, timestamp } = frame;
  const length = fax.sender.write(udp.outgoing, timestamp, bytes, start, frame.length, fax.manner);
  if (length === 0) return;
  udp.send(leg.rtpToken, leg.destination, length);
  leg.wentOut(length);
}
