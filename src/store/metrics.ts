/**
 * Prometheus metrics of one gateway. Label values come from fixed vocabularies or from the configuration; a family that
 * sees more than 200 different ones counts the rest under `other`, so that a mistake elsewhere cannot fill the memory.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { StreamQuality } from '../call/quality.ts';
import { COUNTER_NAMES, type CounterName } from '../gateway/contract.ts';

const MAX_LABELS = 200;

const COUNTER_HELP: Readonly<Record<CounterName, readonly [name: string, help: string]>> = {
  calls: ['calls_total', 'Calls by result'],
  callsRefused: ['calls_refused_total', 'Calls refused by this gateway, by reason'],
  releases: ['releases_total', 'Calls ended, by Q.850 cause'],
  sipRefused: ['sip_refused_total', 'SIP messages refused or ignored, by reason'],
  h323Refused: ['h323_refused_total', 'H.323 messages refused or ignored, by reason'],
  metaRefused: ['meta_refused_total', 'Meta messages refused, by reason'],
  tunnelEvents: ['tunnel_events_total', 'Events of the tunnel to the other gateway'],
  laneRefused: ['lane_refused_total', 'Media connections refused, by reason'],
  mediaRefused: ['media_refused_total', 'Streams and media events refused, by reason'],
  transfers: ['transfers_total', 'Transfers that calls of this side were asked to make, by outcome'],
  trunkRegistrations: ['trunk_registrations_total', 'Our registrations with trunks, by outcome'],
  recordsOmitted: ['records_omitted_total', 'Call records not written, for there were too many, by kind'],
  faxes: ['faxes_total', 'Fax streams (T.38) that began, by the side of the call at this gateway'],
  registrations: ['registrations_total', 'Registrations of remote users, by outcome'],
};

/** Totals of the media plane, as summed up by the process. */
export interface MediaTotals {
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly framesToTunnel: number;
  readonly framesFromTunnel: number;
  readonly framesLost: number;
  /** At this gateway's leg: from its peers, and what they report of what they get. */
  readonly lostIn: number;
  readonly lateIn: number;
  readonly duplicatesIn: number;
  readonly lostOut: number;
  /** In the tunnel, towards this gateway: what was sent and never came, and second copies. */
  readonly tunnelLost: number;
  readonly framesDuplicate: number;
  /** Datagrams on shared ports from nobody's far end: no stream counts them. */
  readonly strangers: number;
  /** Slots as in `refusals` of the constructor. */
  readonly refused: readonly number[];
}

export type SipDirection = 'in' | 'out';

/** How much a running total has grown. One that shrank began anew (a worker was started again) and counts whole. */
export function increase(now: number, before = 0): number {
  return now < before ? now : now - before;
}

export class GatewayMetrics {
  readonly registry = new Registry();
  /** By family and label values, all of them bounded. */
  readonly #tallies = new Map<
    string,
    { readonly counter: Counter; readonly labels: Record<string, string>; count: number }
  >();
  readonly #families = new Map<CounterName, { counter: Counter; label: BoundedLabel }>();
  readonly #callsNow = this.#gauge('calls', 'Calls now, by state', ['state']);
  readonly #callsByRoute = this.#counter('calls_by_route_total', 'Calls by dial rule', ['route']);
  readonly #tunnelUp = this.#gauge('tunnel_up', '1 where the signalling connection works', ['site']);
  readonly #lanes = this.#gauge('tunnel_lanes', 'Media connections up', ['site']);
  readonly #roundTrip = this.#histogram(
    'tunnel_round_trip_seconds',
    'Heartbeat round trips',
    ['site'],
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 3],
  );
  readonly #setup = this.#histogram(
    'call_setup_seconds',
    'From set-up to connect',
    [],
    [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180],
  );
  readonly #duration = this.#histogram(
    'call_seconds',
    'Length of connected calls',
    [],
    [1, 10, 30, 60, 180, 600, 1800, 3600, 14400],
  );
  readonly #sip = this.#counter('sip_messages_total', 'SIP messages, by method and status class', [
    'direction',
    'method',
    'status',
  ]);
  readonly #h323 = this.#counter('h323_messages_total', 'H.323 messages, by protocol and message', [
    'direction',
    'protocol',
    'message',
  ]);
  readonly #h323Label = new BoundedLabel();
  readonly #peerUp = this.#gauge('peer_up', '1 where the last probe was answered', ['peer']);
  readonly #trunks = this.#gauge('trunk_registered', '1 where our registration with the trunk stands', [
    'peer',
  ]);
  readonly #registered = this.#gauge('registered_users', 'Remote users registered now', []);
  readonly #packets = this.#counter('media_packets_total', 'Media packets of the legs', ['direction']);
  readonly #frames = this.#counter('media_frames_total', 'Media frames of the tunnel', ['direction']);
  readonly #framesLost = this.#counter('media_frames_lost_total', 'Media frames the tunnel lost', []);
  readonly #lost = this.#counter('media_lost_total', 'Media packets lost, by part of the way', [
    'part',
    'direction',
  ]);
  readonly #late = this.#counter('media_late_total', 'Media packets late, by part of the way', [
    'part',
    'direction',
  ]);
  readonly #copies = this.#counter(
    'media_duplicates_total',
    'Second copies of media packets, by part of the way',
    ['part', 'direction'],
  );
  readonly #mos = this.#histogram(
    'stream_mos',
    'E-model score of ended streams: in, as received at the leg; out, as heard by the peer',
    ['direction'],
    [1.5, 2, 2.5, 3, 3.4, 3.6, 3.8, 4, 4.2, 4.4],
  );
  readonly #jitter = this.#histogram(
    'stream_jitter_seconds',
    'Jitter of ended streams, by part of the way',
    ['part', 'direction'],
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.2],
  );
  readonly #delay = this.#histogram(
    'stream_delay_seconds',
    'One-way delay of ended streams, by part of the way',
    ['part'],
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4],
  );
  readonly #worst = this.#counter(
    'streams_worst_part_total',
    'Ended streams, by the part of their way that cost most quality',
    ['part'],
  );
  readonly #mediaRefused = this.#counter(
    'media_refused_packets_total',
    'Media packets and frames refused by the plane',
    ['reason'],
  );
  readonly #pauses = this.#histogram(
    'media_pause_seconds',
    'Pauses of media workers for garbage collection',
    [],
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1],
  );
  readonly #buffers = this.#gauge(
    'media_socket_buffer_bytes',
    'Buffers of media ports that streams share: asked for, and granted by the kernel',
    ['direction', 'what'],
  );
  readonly #cdr = this.#gauge('cdr_records', 'Call records by fate', ['fate']);
  readonly #routeLabel = new BoundedLabel();
  readonly #refusals: readonly string[];
  /** The part of the way that is this gateway's leg. */
  readonly #leg: 'internet' | 'intranet';
  #last: MediaTotals | undefined;
  readonly #most = new Map<string, number>();

  /** `refusals`: the plane's reasons (REFUSALS of media/plane-contract.ts), in slot order. */
  constructor(identity: { readonly name: string; readonly role: string }, refusals: readonly string[]) {
    this.#refusals = refusals;
    this.#leg = identity.role === 'relay' ? 'intranet' : 'internet';
    this.registry.setDefaultLabels({ gateway: identity.name, role: identity.role });
    for (const name of Object.keys(COUNTER_NAMES) as CounterName[]) {
      const [metric, help] = COUNTER_HELP[name];
      const counter = this.#counter(metric, help, [COUNTER_NAMES[name]]);
      this.#families.set(name, { counter, label: new BoundedLabel() });
    }
  }

  /** A `count` output of the gateway machine. */
  count(name: CounterName, label: string, by = 1): void {
    const family = this.#families.get(name);
    if (family === undefined) return;
    const bounded = family.label.bound(label);
    this.#tally(family.counter, `${name} ${bounded}`, () => ({ [COUNTER_NAMES[name]]: bounded }), by);
  }

  setCalls(byState: Readonly<Record<string, number>>): void {
    this.#callsNow.reset();
    for (const [state, calls] of Object.entries(byState)) this.#callsNow.set({ state }, calls);
  }

  callRouted(route: string): void {
    const bounded = this.#routeLabel.bound(route);
    this.#tally(this.#callsByRoute, `route ${bounded}`, () => ({ route: bounded }), 1);
  }

  callConnected(setupSeconds: number): void {
    this.#setup.observe(setupSeconds);
  }

  callEnded(seconds: number): void {
    this.#duration.observe(seconds);
  }

  /** Before the next `setTunnel`, `setPeer`, `setTrunk`: those of before may be gone from the configuration, or unprobed now. */
  forgetNeighbours(): void {
    for (const gauge of [this.#tunnelUp, this.#lanes, this.#peerUp, this.#trunks]) gauge.reset();
  }

  setTunnel(site: string, up: boolean, lanes: number): void {
    this.#tunnelUp.set({ site }, up ? 1 : 0);
    this.#lanes.set({ site }, lanes);
  }

  roundTrip(site: string, ms: number): void {
    this.#roundTrip.observe({ site }, ms / 1000);
  }

  /** `startLine` of a message as it is traced; the method of a response is unknown there and shown as `response`. */
  sipMessage(direction: SipDirection, startLine: string): void {
    const kind = sipKind(startLine);
    this.#tally(this.#sip, `sip ${direction} ${kind}`, () => ({ direction, ...sipLabels(kind) }), 1);
  }

  /** `line` of a message as it is traced: `Setup fastStart(4)`, `H.245 openLogicalChannel`, `RAS gatekeeperRequest`. */
  h323Message(direction: SipDirection, line: string): void {
    const { protocol, message } = h323Labels(line);
    const bounded = this.#h323Label.bound(message);
    this.#tally(
      this.#h323,
      `h323 ${direction} ${protocol} ${bounded}`,
      () => ({ direction, protocol, message: bounded }),
      1,
    );
  }

  setPeer(peer: string, up: boolean): void {
    this.#peerUp.set({ peer }, up ? 1 : 0);
  }

  setTrunk(peer: string, registered: boolean): void {
    this.#trunks.set({ peer }, registered ? 1 : 0);
  }

  setRegistered(users: number): void {
    this.#registered.set(users);
  }

  /** Running totals; what was added since the last call is counted. A total that shrank (worker restart) counts whole. */
  setMedia(totals: MediaTotals): void {
    const last = this.#last;
    this.#packets.inc({ direction: 'in' }, increase(totals.packetsIn, last?.packetsIn));
    this.#packets.inc({ direction: 'out' }, increase(totals.packetsOut, last?.packetsOut));
    this.#frames.inc({ direction: 'to-tunnel' }, increase(totals.framesToTunnel, last?.framesToTunnel));
    this.#frames.inc({ direction: 'from-tunnel' }, increase(totals.framesFromTunnel, last?.framesFromTunnel));
    this.#framesLost.inc(this.#grown('framesLost', totals.framesLost));
    this.#addParts(totals);
    this.#refusals.forEach((reason, slot) => {
      const more = increase(totals.refused[slot] ?? 0, last?.refused[slot]);
      if (more > 0) this.#mediaRefused.inc({ reason }, more);
    });
    const strangers = increase(totals.strangers, last?.strangers);
    if (strangers > 0) this.#mediaRefused.inc({ reason: 'stranger' }, strangers);
    this.#last = totals;
  }

  /** A media worker stood still so long, each, to collect garbage. */
  mediaPaused(pausesMs: readonly number[]): void {
    for (const ms of pausesMs) this.#pauses.observe(ms / 1000);
  }

  /** Octets asked for and granted; the same for every media worker. */
  setBuffers({ asked, receive, send }: { asked: number; receive: number; send: number }): void {
    for (const [direction, granted] of [
      ['receive', receive],
      ['send', send],
    ] as const) {
      this.#buffers.set({ direction, what: 'asked' }, asked);
      this.#buffers.set({ direction, what: 'granted' }, granted);
    }
  }

  /** A stream of a call has ended. */
  streamEnded(quality: StreamQuality): void {
    const { received, sent } = quality;
    if (received.mos > 0) this.#mos.observe({ direction: 'in' }, received.mos);
    if (sent.mos > 0) this.#mos.observe({ direction: 'out' }, sent.mos);
    if (received.mos > 0)
      this.#jitter.observe({ part: received.part, direction: 'in' }, received.jitterMs / 1000);
    for (const { part, jitterMs, delayMs } of sent.parts) {
      if (jitterMs >= 0) this.#jitter.observe({ part, direction: 'out' }, jitterMs / 1000);
      if (delayMs >= 0) this.#delay.observe({ part }, delayMs / 1000);
    }
    this.#tally(this.#worst, `worst ${sent.worst}`, () => ({ part: sent.worst }), 1);
  }

  setCdr(statistics: { written: number; failures: number; dropped: number; waiting: number }): void {
    for (const fate of ['written', 'failures', 'dropped', 'waiting'] as const) {
      this.#cdr.set({ fate }, statistics[fate]);
    }
  }

  #addParts(totals: MediaTotals): void {
    const part = this.#leg;
    const { lostIn, lateIn, duplicatesIn, lostOut, tunnelLost, framesDuplicate, refused } = totals;
    const stale = refused[this.#refusals.indexOf('frame-stale')] ?? 0;
    this.#lost.inc({ part, direction: 'in' }, this.#grown('lostIn', lostIn));
    this.#late.inc({ part, direction: 'in' }, this.#grown('lateIn', lateIn));
    this.#copies.inc({ part, direction: 'in' }, this.#grown('duplicatesIn', duplicatesIn));
    this.#lost.inc({ part, direction: 'out' }, this.#grown('lostOut', lostOut));
    this.#lost.inc({ part: 'tunnel', direction: 'out' }, this.#grown('tunnelLost', tunnelLost));
    this.#late.inc({ part: 'tunnel', direction: 'out' }, this.#grown('stale', stale));
    this.#copies.inc({ part: 'tunnel', direction: 'out' }, this.#grown('framesDuplicate', framesDuplicate));
  }

  /** What a total of losses has grown by. It may shrink: what came late after all was not lost; a counter takes nothing back. */
  #grown(name: string, total: number): number {
    const most = this.#most.get(name) ?? 0;
    this.#most.set(name, Math.max(most, total));
    return Math.max(0, total - most);
  }

  /** Counted per message, told to the library once per scrape: its look-up by labels costs more than the message's counters do. */
  #tally(counter: Counter, key: string, labels: () => Record<string, string>, by: number): void {
    const known = this.#tallies.get(key);
    if (known !== undefined) known.count += by;
    else this.#tallies.set(key, { counter, labels: labels(), count: by });
  }

  /** The exposition text and its content type, for the HTTP answer. */
  async render(): Promise<{ readonly contentType: string; readonly body: string }> {
    for (const tally of this.#tallies.values()) {
      if (tally.count > 0) tally.counter.inc(tally.labels, tally.count);
      tally.count = 0;
    }
    return { contentType: this.registry.contentType, body: await this.registry.metrics() };
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name: `voip_sgw_${name}`, help, labelNames, registers: [this.registry] });
  }

  #gauge(name: string, help: string, labelNames: string[]): Gauge {
    return new Gauge({ name: `voip_sgw_${name}`, help, labelNames, registers: [this.registry] });
  }

  #histogram(name: string, help: string, labelNames: string[], buckets: number[]): Histogram {
    return new Histogram({ name: `voip_sgw_${name}`, help, labelNames, buckets, registers: [this.registry] });
  }
}

class BoundedLabel {
  readonly #seen = new Set<string>();

  bound(value: string): string {
    if (this.#seen.has(value)) return value;
    if (this.#seen.size >= MAX_LABELS) return 'other';
    this.#seen.add(value);
    return value;
  }
}

const METHODS = new Set([
  ...['INVITE', 'ACK', 'CANCEL', 'BYE', 'OPTIONS', 'REGISTER', 'PRACK', 'UPDATE', 'INFO', 'REFER', 'NOTIFY'],
  ...['SUBSCRIBE', 'MESSAGE', 'PUBLISH'],
]);

/** Names of the endpoint's own vocabulary; what could not be decoded, or is of a later edition, stands in parentheses. */
function h323Labels(line: string): { protocol: string; message: string } {
  const [first = '', second = ''] = line.split(' ', 2);
  const [protocol, name] =
    first === 'H.245' ? ['h245', second] : first === 'RAS' ? ['ras', second] : ['h225', first];
  return { protocol, message: name.startsWith('(') ? name.replace(/[^a-z]/g, '') : name };
}

/** What a start line is counted as: the digit of its status class, or its method. */
function sipKind(startLine: string): string {
  const status = /^(?:SIP\/2\.0 )?([1-6])\d\d\b/.exec(startLine)?.[1];
  if (status !== undefined) return status;
  const method = startLine.slice(0, Math.max(0, startLine.indexOf(' ')));
  return METHODS.has(method) ? method : 'other';
}

function sipLabels(kind: string): { method: string; status: string } {
  return /^[1-6]$/.test(kind)
    ? { method: 'response', status: `${kind}xx` }
    : { method: kind, status: 'request' };
}
