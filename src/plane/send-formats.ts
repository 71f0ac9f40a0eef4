import { ownPlace, type Place, placeIn } from '../machine/cells.ts';
import type { Millis } from '../machine/machine.ts';
import { BUCKET_CELLS, keepTokens, makeBucket } from '../machine/token-bucket.ts';
import type { PlaneFormat } from '../media/plane-contract.ts';
import { PATIENT_MS } from '../tunnel/lane-scheduler.ts';

// Cells of a format.
export const FORMAT = 0; // -1: none
export const MAX_PAYLOAD = 1;
/** 1: telephone events. */
export const EVENT = 2;
export const PAYLOAD_TYPE = 3;
export const CLOCK_RATE = 4;
export const BUCKET = 5;
export const FORMAT_CELLS = BUCKET + BUCKET_CELLS;

/** A format towards the far end. */
export interface SendFormat {
  readonly rules: PlaneFormat;
  /** FORMAT_CELLS. */
  readonly place: Place;
}

const FORMATS = 32;
/** Frames that waited for a lane as long as a fax's may come at once: 20 ms of a page each. */
const FAX_BURST = PATIENT_MS / 20;

/** The formats of one leg's far end, by their neutral numbers. */
export class SendFormats {
  readonly sent: (SendFormat | undefined)[] = new Array<undefined>(FORMATS).fill(undefined);
  /** Event formats that the far end has no payload type for: their events are told, not sent. */
  readonly told: (SendFormat | undefined)[] = new Array<undefined>(FORMATS).fill(undefined);
  readonly #usual: Place;

  /** `usual`: where the cells of the format are that comes most, by what was negotiated. */
  constructor(usual: Place) {
    this.#usual = usual;
  }

  /** Buckets of formats whose rate stays are kept as they are. */
  set(formats: readonly PlaneFormat[], now: Millis): void {
    const old = this.sent.map((format, i) => {
      const known = format ?? this.told[i];
      return known && { rules: known.rules, fill: keepTokens(placeIn(known.place, BUCKET)) };
    });
    this.sent.fill(undefined);
    this.told.fill(undefined);
    const usual = usualFormat(formats);
    this.#usual.cells[this.#usual.at + FORMAT] = -1;
    for (const rules of formats) {
      if (!isKnown(rules)) continue;
      const rate = rules.maxPacketsPerSecond;
      const kept = old[rules.format];
      const place = rules === usual ? this.#usual : ownPlace(FORMAT_CELLS);
      write(place, rules);
      const bucket = placeIn(place, BUCKET);
      if (kept?.rules.maxPacketsPerSecond === rate) kept.fill(bucket);
      else makeBucket(bucket, rules.kind === 'udptl' ? FAX_BURST : Math.max(2, rate / 2), rate, now);
      (isTold(rules) ? this.told : this.sent)[rules.format] = { rules, place };
    }
  }
}

function isKnown(rules: PlaneFormat): boolean {
  const numbered = rules.kind !== 'udptl' && !isTold(rules);
  if ((rules.sendPayloadType < 0 && numbered) || rules.sendPayloadType > 127) return false;
  return rules.format < FORMATS;
}

function isTold(rules: PlaneFormat): boolean {
  return rules.kind === 'event' && rules.sendPayloadType < 0;
}

/** The first that is sent and no event; where its number comes twice, the last of them counts. */
function usualFormat(formats: readonly PlaneFormat[]): PlaneFormat | undefined {
  const known = formats.filter((f) => isKnown(f) && !isTold(f));
  const first = known.find((f) => f.kind !== 'event') ?? known[0];
  return first && known.findLast((f) => f.format === first.format);
}

function write({ cells, at }: Place, rules: PlaneFormat): void {
  cells[at + FORMAT] = rules.format;
  cells[at + MAX_PAYLOAD] = rules.maxPayload;
  cells[at + EVENT] = rules.kind === 'event' ? 1 : 0;
  cells[at + PAYLOAD_TYPE] = rules.sendPayloadType;
  cells[at + CLOCK_RATE] = rules.clockRate;
}
