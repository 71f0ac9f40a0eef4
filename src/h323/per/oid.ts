/** OBJECT IDENTIFIER contents octets (X.690 8.19) and the dotted text. */

/** Undefined where the octets are no sequence of minimal subidentifiers. */
export function oidText(octets: Uint8Array): string | undefined {
  const arcs: (number | bigint)[] = [];
  let arc = 0;
  let long: bigint | undefined; // an arc that outgrew `arc`: 2.25 has 128-bit ones
  let start = true;
  for (const octet of octets) {
    if (start && octet === 0x80) return undefined; // 8.19.2: the first octet of a subidentifier is not 80
    if (long === undefined && arc >= 2 ** 46) long = BigInt(arc);
    if (long === undefined) arc = arc * 128 + (octet & 0x7f);
    else long = long * 128n + BigInt(octet & 0x7f);
    start = octet < 0x80;
    if (!start) continue;
    if (arcs.length === 0) {
      const first = long === undefined ? Math.min(2, Math.floor(arc / 40)) : 2; // 8.19.4: first two arcs in one
      arcs.push(first);
      arc -= 40 * first;
      if (long !== undefined) long -= 80n;
    }
    arcs.push(long ?? arc);
    arc = 0;
    long = undefined;
  }
  return start && arcs.length > 0 ? arcs.join('.') : undefined;
}

/** Undefined where `text` is no object identifier. */
export function oidOctets(text: string): Uint8Array | undefined {
  if (!/^[0-2](\.(0|[1-9]\d{0,39}))+$/.test(text)) return undefined;
  const [first, second, ...rest] = text.split('.');
  if (first !== '2' && (second!.length > 2 || Number(second) > 39)) return undefined;
  const joint = second!.length > 15 ? BigInt(second!) + 80n : 40 * Number(first) + Number(second);
  const out: number[] = [];
  for (const arc of [joint, ...rest.map((a) => (a.length > 15 ? BigInt(a) : Number(a)))]) {
    out.push(...(typeof arc === 'bigint' ? longArc(arc) : shortArc(arc)));
  }
  return Uint8Array.from(out);
}

function shortArc(arc: number): number[] {
  const octets = [arc % 128];
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
    octets.unshift(0x80 + (left % 128));
  }
  return octets;
}

function longArc(arc: bigint): number[] {
  const octets = [Number(arc & 127n)];
  for (let left = arc >> 7n; left > 0n; left >>= 7n) octets.unshift(0x80 + Number(left & 127n));
  return octets;
}
