import { ownPlace, type Place } from '../machine/cells.ts';
import { CONTROL_QUALITY } from './media-frame.ts';

/**
 * What a gateway tells the other of one stream, every few seconds, so that each can say where something was lost: at the far leg, in the
 * tunnel or at its own leg. Control data of the stream (media-frame.ts):
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |   3, quality  |                 frames sent                   .
 *   .               |            packets lost at the leg            .
 *   .               |     jitter at the leg, 0.1 ms |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
export const QUALITY_LENGTH = 11;

export interface QualityReport {
  /** Media frames given to the lanes since the stream was opened, modulo 2^32; copies not counted. */
  framesSent: number;
  /** As RFC 3550 6.4.1 has it, of the leg's far end. */
  lost: number;
  jitterMs: number;
}

/** Writes QUALITY_LENGTH octets at 0. */
export function writeQuality(to: Uint8Array, report: Readonly<QualityReport>): void {
  const view = new DataView(to.buffer, to.byteOffset, to.byteLength);
  view.setUint8(0, CONTROL_QUALITY);
  view.setUint32(1, report.framesSent >>> 0);
  view.setUint32(5, Math.min(0xffff_ffff, Math.max(0, report.lost)));
  view.setUint16(9, Math.min(0xffff, Math.max(0, Math.round(report.jitterMs * 10))));
}

/** `at`: where the control octet is; QUALITY_LENGTH octets are there. */
export function readQuality(from: Uint8Array, at: number): QualityReport {
  const view = new DataView(from.buffer, from.byteOffset + at, QUALITY_LENGTH);
  return { framesSent: view.getUint32(1), lost: view.getUint32(5), jitterMs: view.getUint16(9) / 10 };
}

/** Frames that were sent and never came, by what the far gateway says and what arrived here. */
export class TunnelTally {
  /** -1: the far gateway has said nothing yet. */
  lost = -1;
  farLost = -1;
  farJitterMs = -1;
  #sentBefore = 0;
  #arrivedBefore = 0;
  #lostBefore = 0;
  #sent = 0;
  #joined: boolean;
  readonly #place: Place;

  /** `joined`: the stream was running already (a worker's successor): the first report says only where it stands. `place`: of `arrived`. */
  constructor(joined: boolean, place: Place = ownPlace(1)) {
    this.#joined = joined;
    this.#place = place;
  }

  /** Media frames of the stream that came, copies not counted, whatever became of them. */
  get arrived(): number {
    return this.#place.cells[this.#place.at]!;
  }

  set arrived(frames: number) {
    this.#place.cells[this.#place.at] = frames;
  }

  report(report: Readonly<QualityReport>): void {
    const anew = report.framesSent < this.#sent;
    if (this.#joined || anew) {
      // One of both ends counts from the beginning again: what was lost till then stays, the rest is counted from here.
      this.#lostBefore = Math.max(0, this.lost);
      this.#sentBefore = this.#joined ? report.framesSent : 0;
      this.#arrivedBefore = this.#joined ? this.arrived : Math.max(0, this.arrived - report.framesSent);
      this.#joined = false;
    }
    this.#sent = report.framesSent;
    const sent = report.framesSent - this.#sentBefore;
    this.lost = this.#lostBefore + Math.max(0, sent - (this.arrived - this.#arrivedBefore));
    this.farLost = report.lost;
    this.farJitterMs = report.jitterMs;
  }
}
