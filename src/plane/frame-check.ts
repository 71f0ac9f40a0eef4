/** What a frame of the tunnel has to be: the far gateway is not believed, everything is checked again. */
import type { Millis } from '../machine/machine.ts';
import { hasTokens, spendTokens } from '../machine/token-bucket.ts';
import { ACCEPTED, REFUSED } from '../rtp/refusal.ts';
import {
  classifySequence,
  commitSequence,
  DUPLICATE,
  JUMP,
  restartSequence,
} from '../rtp/sequence-window.ts';
import { checkEvent } from '../rtp/telephone-event.ts';
import { PATIENT_MS } from '../tunnel/lane-scheduler.ts';
import { FLAG_DUPLICATE, type MediaFrame } from '../tunnel/media-frame.ts';
import { checkFaxFrame } from './fax-path.ts';
import { BUCKET, EVENT, MAX_PAYLOAD } from './send-formats.ts';
import type { StreamLeg } from './stream-leg.ts';
import { COPIES_UNTIL, FRAMES, FRAMES_FROM_TUNNEL, TUNNEL_DELAY } from './stream-row.ts';

/** How much later than the fastest a frame may come and still be worth playing, or (fax) of use. */
const STALE_MS = 200;
const FAX_STALE_MS = PATIENT_MS + STALE_MS;
/** TCP has said again by then what another lane said meanwhile. */
const COPIES_MS = 2000;
/** The second copy of a frame: dropped, and meant to be. */
export const SECOND_COPY = -3;

/** Of a format that does not come most. */
export function checkOtherFrame(leg: StreamLeg, frame: MediaFrame, now: Millis): number {
  const format = leg.formats.sent[frame.format] ?? leg.formats.told[frame.format];
  if (format === undefined) return REFUSED.frameFormat;
  return checkFrame(leg, format.place.cells, format.place.at, frame, now);
}

/** ACCEPTED, and then counted; SECOND_COPY or a reason out of REFUSED. `formats`, `format`: the cells of the frame's format. */
export function checkFrame(
  leg: StreamLeg,
  formats: Float64Array,
  format: number,
  frame: MediaFrame,
  now: Millis,
): number {
  const { cells, row, fax } = leg;
  if (frame.length > formats[format + MAX_PAYLOAD]!) return REFUSED.payloadSize;
  const isEvent = formats[format + EVENT] === 1;
  if (isEvent && !checkEvent(frame.bytes, frame.start, frame.length)) return REFUSED.payloadSize;
  const age = leg.session.age.of(frame.sent, now);
  const order = classifySequence(cells, row + FRAMES, frame.sequence);
  const copy = (frame.flags & FLAG_DUPLICATE) !== 0;
  if (copy) cells[row + COPIES_UNTIL] = now + COPIES_MS;
  // The first copy, which was said before anyone knew that there would be a second, may come last.
  if (order === DUPLICATE) return now <= cells[row + COPIES_UNTIL]! ? SECOND_COPY : REFUSED.sequence;
  if (age > (fax === undefined ? STALE_MS : FAX_STALE_MS)) return REFUSED.frameStale;
  const content = fax === undefined ? ACCEPTED : checkFaxFrame(fax, frame, now);
  if (content !== ACCEPTED) return content;
  if (!leg.sends) return REFUSED.direction;
  if (!hasTokens(formats, format + BUCKET, 1, now)) return REFUSED.frameRate;
  spendTokens(formats, format + BUCKET, 1);
  fax?.bytes.spend(frame.length);
  if (order === JUMP) restartSequence(cells, row + FRAMES, frame.sequence);
  else commitSequence(cells, row + FRAMES, frame.sequence);
  const frames = ++cells[row + FRAMES_FROM_TUNNEL]!;
  const delay = cells[row + TUNNEL_DELAY]!;
  cells[row + TUNNEL_DELAY] = frames === 1 ? age : delay + (age - delay) / 16;
  return ACCEPTED;
}
