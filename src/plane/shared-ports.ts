import { type Address, formatAddress } from '../machine/address.ts';
import { parseSource, type SourceWords, sameSource } from '../rtp/source-words.ts';
import type { StreamLeg } from './stream-leg.ts';
import type { Udp } from './udp.ts';

const BUCKETS = 1024;

interface Entry {
  readonly source: SourceWords;
  readonly leg: StreamLeg;
}

/** Legs by the exact address and port that their packets come from. A look-up allocates nothing. */
class SourceTable {
  readonly #buckets: Entry[][] = Array.from({ length: BUCKETS }, () => []);

  find(source: SourceWords): StreamLeg | undefined {
    const bucket = this.#buckets[bucketOf(source)]!;
    for (let i = 0; i < bucket.length; i++) {
      const entry = bucket[i]!;
      if (sameSource(entry.source, source)) return entry.leg;
    }
    return undefined;
  }

  add(source: SourceWords, leg: StreamLeg): void {
    this.#buckets[bucketOf(source)]!.push({ source, leg });
  }

  remove(source: SourceWords, leg: StreamLeg): void {
    const bucket = this.#buckets[bucketOf(source)]!;
    const at = bucket.findIndex((entry) => entry.leg === leg && sameSource(entry.source, source));
    if (at >= 0) bucket.splice(at, 1);
  }
}

function bucketOf(source: SourceWords): number {
  const mixed = Math.imul(source.d ^ source.c ^ source.b ^ source.a, 0x9e3779b1) ^ (source.port * 0x85eb);
  return (mixed ^ (mixed >>> 15)) & (BUCKETS - 1);
}

interface SharedPort {
  readonly key: string;
  readonly local: Address;
  readonly slot: number;
  /** Legs that use it, and whose packets are which. */
  readonly legs: Set<StreamLeg>;
  readonly rtp: SourceTable;
  readonly rtcp: SourceTable;
  state: 'binding' | 'bound' | 'failed';
  readonly waiting: ((reason: string | undefined) => void)[];
}

interface Membership {
  readonly port: SharedPort;
  readonly rtp: SourceWords | undefined;
  readonly rtcp: SourceWords | undefined;
}

/**
 * Pairs of ports that several legs use at once, by policy, where far ends name their media address and send from it. A packet belongs to the leg
 * whose far end has exactly its source; no two legs of a port have the same. Whom no leg expects is refused here, without a leg to count it.
 */
export class SharedPorts {
  /** Datagrams from nobody's far end. */
  strangers = 0;
  readonly #udp: Udp;
  readonly #firstSlot: number;
  readonly #ports: (SharedPort | undefined)[] = [];
  readonly #members = new Map<StreamLeg, Membership>();

  /** Tokens are 2 * slot and 2 * slot + 1, slots from `firstSlot` on. */
  constructor(udp: Udp, firstSlot: number) {
    this.#udp = udp;
    this.#firstSlot = firstSlot;
  }

  /** Whose packet this is; undefined: counted as a stranger's. */
  find(token: number, source: SourceWords): StreamLeg | undefined {
    const port = this.#ports[(token >> 1) - this.#firstSlot];
    const leg = (token & 1) === 0 ? port?.rtp.find(source) : port?.rtcp.find(source);
    if (leg === undefined) this.strangers++;
    return leg;
  }

  /** Makes the leg a user of its local port, by what its configuration says now; `done` may be called before this returns. Why not: another leg has the same far end, or no bind. */
  join(leg: StreamLeg, done: (reason: string | undefined) => void): void {
    const { remote, remoteRtcp, rtcpMux, local } = leg.config;
    const rtp = remote && parseSource(remote);
    const control = remoteRtcp ?? (remote && { ip: remote.ip, port: remote.port + 1 });
    const alone = rtcpMux || leg.fax !== undefined; // UDPTL has no RTCP
    const rtcp = alone || control === undefined ? undefined : parseSource(control);
    const port = this.#at(local);
    port.legs.add(leg); // an unused port would be closed
    this.#forget(leg, port);
    if ((rtp && port.rtp.find(rtp)) || (rtcp && port.rtcp.find(rtcp))) {
      port.legs.delete(leg);
      this.#dropIfUnused(port);
      done(`another stream on the shared port has the far end ${formatAddress(remote!)}`);
      return;
    }
    this.#members.set(leg, { port, rtp, rtcp });
    if (rtp !== undefined) port.rtp.add(rtp, leg);
    if (rtcp !== undefined) port.rtcp.add(rtcp, leg);
    leg.rtpToken = 2 * port.slot;
    leg.rtcpToken = rtcpMux ? 2 * port.slot : 2 * port.slot + 1;
    if (port.state === 'bound') done(undefined);
    else if (port.state === 'failed') done('the shared port is not bound');
    else port.waiting.push(done);
  }

  /** A leg that is no user is passed over. */
  leave(leg: StreamLeg): void {
    this.#forget(leg, undefined);
  }

  /** `kept`: a port that it goes on using. */
  #forget(leg: StreamLeg, kept: SharedPort | undefined): void {
    const member = this.#members.get(leg);
    if (member === undefined) return;
    const { port, rtp, rtcp } = member;
    this.#members.delete(leg);
    if (rtp !== undefined) port.rtp.remove(rtp, leg);
    if (rtcp !== undefined) port.rtcp.remove(rtcp, leg);
    if (port === kept) return;
    port.legs.delete(leg);
    this.#dropIfUnused(port);
  }

  #at(local: Address): SharedPort {
    const key = formatAddress(local);
    const known = this.#ports.find((port) => port?.key === key);
    if (known !== undefined) return known;
    const free = this.#ports.indexOf(undefined);
    const at = free < 0 ? this.#ports.length : free;
    const port: SharedPort = {
      key,
      local,
      slot: this.#firstSlot + at,
      legs: new Set(),
      rtp: new SourceTable(),
      rtcp: new SourceTable(),
      state: 'binding',
      waiting: [],
    };
    this.#ports[at] = port;
    this.#bind(port);
    return port;
  }

  #bind(port: SharedPort): void {
    const { local, slot } = port;
    const bound = (reason: string | undefined): void => {
      if (this.#ports[slot - this.#firstSlot] !== port) return;
      port.state = reason === undefined ? 'bound' : 'failed';
      for (const done of port.waiting.splice(0)) done(reason);
    };
    this.#udp.open(
      local,
      2 * slot,
      (reason) => {
        if (reason !== undefined) bound(reason);
        else this.#udp.open({ ip: local.ip, port: local.port + 1 }, 2 * slot + 1, bound, true);
      },
      true,
    );
  }

  #dropIfUnused(port: SharedPort): void {
    if (port.legs.size > 0) return;
    this.#ports[port.slot - this.#firstSlot] = undefined;
    this.#udp.close(2 * port.slot);
    this.#udp.close(2 * port.slot + 1);
  }
}
