/** Whether two octet strings are the same. Not in constant time: for secrets there is `Crypto.equal` (machine/machine.ts). */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}
