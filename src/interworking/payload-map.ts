import { staticPayloadType } from '../media/formats.ts';
import type { Format } from '../meta/message.ts';
import { type BareFormat, keyOf } from './sdp-formats.ts';

const TELEPHONE_EVENT = 101;
const FIRST_DYNAMIC = 96;
const LAST_DYNAMIC = 127;
const IDS = 32;

/**
 * The numbers one stream of one leg gives to formats: RTP payload types towards the far end (what we announce, so what it sends
 * with) and neutral format ids towards the other gateway. RFC 3264 8.3.2: within a session a payload type never changes its
 * meaning; therefore it stays owned by its format even when the format is not offered any more. Format ids are wanted stable too,
 * because frames of the tunnel have no order with respect to signalling, but they are recycled when all 32 are used up.
 */
export class PayloadMap {
  #owner = new Map<number, string>();
  #payloadType = new Map<string, number>();
  #id = new Map<string, number>();

  /** The payload type to announce for `format` in an offer; undefined where none is left. */
  offer(format: BareFormat): number | undefined {
    const key = keyOf(format);
    const known = this.#payloadType.get(key);
    if (known !== undefined) return known;
    const fixed = staticPayloadType(format);
    const wanted = fixed ?? (format.name === 'telephone-event' ? TELEPHONE_EVENT : undefined);
    if (wanted !== undefined && this.#take(wanted, key)) return wanted;
    for (let pt = FIRST_DYNAMIC; pt <= LAST_DYNAMIC; pt++) {
      if (pt !== TELEPHONE_EVENT && this.#take(pt, key)) return pt;
    }
    return undefined;
  }

  /**
   * The payload type to announce in an answer: the offerer's (RFC 3264 6.1), unless we announced that number for another
   * format before.
   */
  answer(format: BareFormat, offered: number): number | undefined {
    return this.#take(offered, keyOf(format)) ? offered : this.offer(format);
  }

  #take(payloadType: number, key: string): boolean {
    const owner = this.#owner.get(payloadType);
    if (owner !== undefined && owner !== key) return false;
    this.#owner.set(payloadType, key);
    this.#payloadType.set(key, payloadType);
    return true;
  }

  /** Ids for a description that came from our far end: formats seen before keep theirs. */
  number(formats: readonly BareFormat[]): Format[] {
    const keys = formats.map(keyOf);
    for (const key of [...this.#id.keys()]) {
      if (this.#id.size + formats.length <= IDS) break;
      if (!keys.includes(key)) this.#id.delete(key);
    }
    const used = new Set(this.#id.values());
    const out: Format[] = [];
    for (let i = 0; i < formats.length; i++) {
      let id = this.#id.get(keys[i]!);
      if (id === undefined) {
        id = 0;
        while (used.has(id)) id++;
        if (id >= IDS) break;
        used.add(id);
        this.#id.set(keys[i]!, id);
      }
      out.push({ id, ...formats[i]! });
    }
    return out;
  }

  /** Takes over the ids of an offer that came from the other gateway. */
  learn(formats: readonly Format[]): void {
    for (const format of formats) {
      for (const [key, id] of this.#id) if (id === format.id) this.#id.delete(key);
      this.#id.set(keyOf(format), format.id);
    }
  }
}
