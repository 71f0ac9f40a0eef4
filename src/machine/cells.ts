/**
 * Where a thing keeps its numbers: `count` cells from `at` on, all 0 at first. Things that are looked at together, millions of times and in turn
 * with others of their kind, keep them beside each other in one array: what a processor waits for is memory, line by line, and an object for each of
 * them (and one more for each fraction in it) is a line or two each. Whoever has no such neighbours has an array of its own.
 */
export interface Place {
  readonly cells: Float64Array;
  readonly at: number;
}

export function ownPlace(count: number): Place {
  return { cells: new Float64Array(count), at: 0 };
}

/** The place `offset` cells further on. */
export function placeIn(place: Place, offset: number): Place {
  return { cells: place.cells, at: place.at + offset };
}
