/**
 * The sound of the demo and of the tests: a short tune, made here, 8 kHz. Every note has its own pitch and the order
 * of notes is the message, so sound that arrived can be compared by content.
 */
export const SAMPLE_RATE = 8000;

export interface Note {
  readonly hz: number;
  readonly ms: number;
}

/** Pitches of two octaves of a pentatonic scale: far enough apart for 100 ms windows, below 2 kHz. */
const SCALE = [523, 587, 659, 784, 880, 1047, 1175, 1319, 1568, 1760];

/** A tune of `notes` notes that differs for each `seed`; neighbouring notes always differ. */
export function tune(seed: number, notes = 16, ms = 180): readonly Note[] {
  let state = (seed * 2654435761 + 12345) >>> 0;
  let last = -1;
  return Array.from({ length: notes }, () => {
    let pick: number;
    do {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      pick = (state >>> 16) % SCALE.length;
    } while (pick === last);
    last = pick;
    return { hz: SCALE[pick]!, ms };
  });
}

/** 16-bit samples of a tune, with soft edges so that notes do not click. */
export function render(notes: readonly Note[], amplitude = 9000): Int16Array {
  const total = notes.reduce((n, note) => n + samples(note.ms), 0);
  const out = new Int16Array(total);
  let at = 0;
  for (const note of notes) {
    const count = samples(note.ms);
    const edge = Math.min(80, count >> 2);
    for (let i = 0; i < count; i++) {
      const gain = Math.min(1, i / edge, (count - i) / edge);
      const phase = (2 * Math.PI * note.hz * i) / SAMPLE_RATE;
      out[at++] = Math.round(amplitude * gain * (0.8 * Math.sin(phase) + 0.2 * Math.sin(2 * phase)));
    }
  }
  return out;
}

function samples(ms: number): number {
  return Math.round((ms * SAMPLE_RATE) / 1000);
}

export interface Comparison {
  /** Offset in `heard` (samples) at which what was sent begins. */
  readonly offset: number;
  /** Share of the sent sound (0..1) that was found, in 20 ms blocks with a correlation of at least 0.9. */
  readonly match: number;
  /** Correlation over the whole, 0..1. */
  readonly correlation: number;
}

/**
 * Looks for `sent` in `heard` and says how much of it is there. The best offset is found by a coarse correlation of the
 * beginning, then each 20 ms block is compared on its own (a gap costs only its blocks). Both 16-bit at 8 kHz.
 */
export function compare(sent: Int16Array, heard: Int16Array): Comparison {
  const probe = Math.min(sent.length, 8 * 160);
  let best = { offset: 0, score: 0 };
  const score = (offset: number, step: number): number => {
    let dot = 0;
    let a = 0;
    let b = 0;
    for (let i = 0; i < probe; i += step) {
      const x = sent[i]!;
      const y = heard[offset + i] ?? 0;
      dot += x * y;
      a += x * x;
      b += y * y;
    }
    return a === 0 || b === 0 ? 0 : dot / Math.sqrt(a * b);
  };
  for (let offset = 0; offset + probe <= heard.length; offset++) {
    const s = score(offset, 4);
    if (s > best.score) best = { offset, score: s };
  }
  return compareAt(sent, heard, best.offset);
}

function compareAt(sent: Int16Array, heard: Int16Array, offset: number): Comparison {
  let found = 0;
  let blocks = 0;
  let dot = 0;
  let a = 0;
  let b = 0;
  for (let start = 0; start + 160 <= sent.length; start += 160) {
    let bd = 0;
    let ba = 0;
    let bb = 0;
    for (let i = start; i < start + 160; i++) {
      const x = sent[i]!;
      const y = heard[offset + i] ?? 0;
      bd += x * y;
      ba += x * x;
      bb += y * y;
    }
    blocks++;
    if (ba > 0 && bb > 0 && bd / Math.sqrt(ba * bb) >= 0.9) found++;
    dot += bd;
    a += ba;
    b += bb;
  }
  return {
    offset,
    match: blocks === 0 ? 0 : found / blocks,
    correlation: a === 0 || b === 0 ? 0 : Math.max(0, dot / Math.sqrt(a * b)),
  };
}

/**
 * As `compare`, for a sound that the far end repeats without end: how much of what was heard is the sound, wherever in it the
 * hearing began. `match`: share of the heard 20 ms blocks (the first 100 ms, where a call may begin in the middle of a packet, left
 * out) that are the sound in its order. Less than one whole round heard counts as the share of a round.
 */
export function compareRepeated(sent: Int16Array, heard: Int16Array): Comparison {
  const skip = 800;
  if (heard.length < skip + 8000) return { offset: 0, match: 0, correlation: 0 };
  const round = new Int16Array(2 * sent.length);
  round.set(sent);
  round.set(sent, sent.length);
  const probe = heard.slice(skip, skip + 4000);
  const { offset } = compare(probe, round);
  const phase = offset % sent.length;
  const rest = heard.subarray(skip);
  const expected = new Int16Array(rest.length);
  for (let i = 0; i < rest.length; i++) expected[i] = sent[(phase + i) % sent.length]!;
  const { match, correlation } = compareAt(expected, rest, 0);
  return { offset: phase, match: match * Math.min(1, rest.length / sent.length), correlation };
}
