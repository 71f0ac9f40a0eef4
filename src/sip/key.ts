/**
 * A table's key of several values, none of which has a line break. Joined, it is one string of its own; a template would be a tree of pieces
 * that keeps the whole text of every message they were cut from for as long as the key is in the table.
 */
export function tableKey(parts: readonly (string | number)[]): string {
  return parts.join('\n');
}
