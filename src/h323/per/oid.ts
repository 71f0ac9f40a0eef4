/** OBJECT IDENTIFIER contents octets (X.690 8.19) and the dotted text. */

/** Undefined where the octets are no sequence of minimal subidentifiers below 2^53. */
export function oidText(octets: Uint8Array): string | undefined {
  const arcs: number[] = [];
  let arc = 0;
  let start = true;
  for (const octet of octets) {
    if (start && octet === 0x80) return undefined; // 8.19.2: the first octet of a subidentifier is not 80
    arc = arc * 128 + (octet & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) return undefined;
    start = octet < 0x80;
    if (!start) continue;
    if (arcs.length === 0) {
      const first = Math.min(2, Math.floor(arc / 40)); // 8.19.4: first two arcs in one
      arcs.push(first);
      arc -= 40 * first;
    }
    arcs.push(arc);
    arc = 0;
  }
  return start && arcs.length > 0 ? arcs.join('.') : undefined;
}

/** Undefined where `text` is no object identifier. */
export function oidOctets(text: string): number[] | undefined {
  if (!/^[0-2](\.(0|[1-9]\d{0,15}))+$/.test(text)) return undefined;
  const [first, second, ...rest] = text.split('.').map(Number) as [number, number, ...number[]];
  if (first < 2 && second > 39) return undefined;
  const out: number[] = [];
  for (const arc of [40 * first + second, ...rest]) {
    if (arc > Number.MAX_SAFE_INTEGER) return undefined;
    const octets = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      octets.unshift(0x80 + (left % 128));
    }
    out.push(...octets);
  }
  return out;
}
