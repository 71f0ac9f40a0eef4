/**
 * All numbers that a packet needs of its stream, in one row of one array per worker: ten lines of memory beside each other in place of some sixty
 * of small objects. What is needed more rarely is in the objects of stream-leg.ts.
 */
import type { Place } from '../machine/cells.ts';
import { REBUILD_CELLS } from '../rtp/rebuild.ts';
import { acceptedPacket, CHECK_CELLS } from '../rtp/receive-check.ts';
import { WINDOW_CELLS } from '../rtp/sequence-window.ts';
import { LOCK_CELLS } from '../rtp/source-lock.ts';
import { ORDER_CELLS } from '../tunnel/frame-order.ts';
import { FORMAT_CELLS } from './send-formats.ts';

// From the far end to the tunnel, in the order in which a packet meets them.
export const LOCK = 0;
export const CHECK = LOCK + LOCK_CELLS;
export const PACKETS_IN = CHECK + CHECK_CELLS;
export const BYTES_IN = PACKETS_IN + 1;
export const FRAMES_TO_TUNNEL = BYTES_IN + 1;

// From the tunnel to the far end.
/** The format that comes most, by what was negotiated. */
export const USUAL = FRAMES_TO_TUNNEL + 1;
export const FRAMES = USUAL + FORMAT_CELLS;
/** Frames may come twice until then. */
export const COPIES_UNTIL = FRAMES + WINDOW_CELLS;
/** Media frames that came, copies not counted, whatever became of them. */
export const ARRIVED = COPIES_UNTIL + 1;
export const FRAMES_FROM_TUNNEL = ARRIVED + 1;
/** How much later than the fastest frames come, smoothed as RFC 3550 smooths jitter. */
export const TUNNEL_DELAY = FRAMES_FROM_TUNNEL + 1;
export const ORDER = TUNNEL_DELAY + 1;
export const REBUILD = ORDER + ORDER_CELLS;
export const PACKETS_OUT = REBUILD + REBUILD_CELLS;
export const BYTES_OUT = PACKETS_OUT + 1;

/** Whole lines of 64 octets. */
const ROW = (BYTES_OUT + 8) & ~7;
const ROWS = 512;

/** The rows of a worker's streams, by slot, and what else they have in common. */
export class StreamRows {
  /** The accepted packet that is on its way. */
  readonly packet = acceptedPacket();
  readonly #pieces: Float64Array[] = [];

  /** The row of a slot, all cells 0. Who had it before could read his own till now. */
  fresh(slot: number): Place {
    const piece = Math.floor(slot / ROWS);
    while (this.#pieces.length <= piece) this.#pieces.push(new Float64Array(ROWS * ROW));
    const cells = this.#pieces[piece]!;
    const at = (slot % ROWS) * ROW;
    cells.fill(0, at, at + ROW);
    return { cells, at };
  }
}
