/** The record of a call (CDR): one per call per gateway. The two gateways' records of a call share its id. */
import type { Millis, WallMillis } from '../machine/machine.ts';
import type { CallId, Cause, MediaKind, Party, Priority, ReleaseOrigin, Side } from '../meta/message.ts';
import type { CallFacts } from './half-call-contract.ts';
import type { StreamQuality } from './quality.ts';

/** What one stream of the call did at this gateway's leg. */
export interface StreamRecord {
  readonly index: number;
  /** As it began. */
  readonly kind: MediaKind;
  /** Format name last in use, e.g. PCMA; with that of a fax where there was one: PCMA+T38. */
  readonly codec: string;
  readonly packetsIn: number;
  readonly bytesIn: number;
  readonly packetsOut: number;
  readonly bytesOut: number;
  readonly lostIn: number;
  readonly jitterInMs: number;
  /** -1: unknown. */
  readonly lostOut: number;
  readonly roundTripMs: number;
  /** 1..4.5; 0: unknown. */
  readonly mosIn: number;
  /** Both directions, by the parts of their way. */
  readonly quality: StreamQuality;
  /** Refused packets and frames by reason; only reasons that occurred. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface CallRecord {
  readonly version: 1;
  readonly call: CallId;
  readonly gateway: string;
  readonly role: 'termination' | 'relay';
  readonly side: Side;
  /** The far gateway. */
  readonly site: string;
  /** The peer at this gateway's leg. */
  readonly peer: string;
  /** Name of the dial rule that decided. '' where none did. */
  readonly route: string;
  readonly caller?: Party;
  readonly callee?: Party;
  readonly connected?: Party;
  readonly diverting?: Party;
  readonly priority: Priority;
  readonly accountingId?: string;
  /** UTC milliseconds. */
  readonly setupAt: WallMillis;
  readonly alertingAt?: WallMillis;
  readonly connectAt?: WallMillis;
  readonly endAt: WallMillis;
  /** From connect to end; 0 where never connected. */
  readonly durationMs: number;
  /** `refused`: by this gateway's policy. */
  readonly result: 'connected' | 'failed' | 'refused';
  readonly cause: Cause;
  readonly origin: ReleaseOrigin;
  /** Why policy refused, or another short token. */
  readonly reason?: string;
  readonly streams: readonly StreamRecord[];
}

export interface RecordInput {
  readonly call: CallId;
  readonly gateway: string;
  readonly role: 'termination' | 'relay';
  readonly side: Side;
  readonly site: string;
  readonly peer: string;
  readonly route: string;
  readonly facts: CallFacts;
  /** Both clocks read at the same moment; durations come from the monotonic one. */
  readonly clock: { readonly now: Millis; readonly wall: WallMillis };
  readonly refused?: string;
  /** Why this gateway ended a call that policy had let in. */
  readonly reason?: string;
  readonly streams: readonly StreamRecord[];
}

export function buildRecord(input: RecordInput): CallRecord {
  const {
    facts,
    clock,
    refused,
    reason = refused,
    call,
    gateway,
    role,
    side,
    site,
    peer,
    route,
    streams,
  } = input;
  const wall = (at: Millis): WallMillis => Math.round(clock.wall - (clock.now - at));
  const endAt = facts.endAt ?? clock.now;
  const { caller, callee, connected, diverting, accountingId, connectAt, alertingAt, priority } = facts;
  return {
    version: 1,
    call,
    gateway,
    role,
    side,
    site,
    peer,
    route,
    ...(caller === undefined ? {} : { caller }),
    ...(callee === undefined ? {} : { callee }),
    ...(connected === undefined ? {} : { connected }),
    ...(diverting === undefined ? {} : { diverting }),
    priority,
    ...(accountingId === undefined ? {} : { accountingId }),
    setupAt: wall(facts.setupAt ?? endAt),
    ...(alertingAt === undefined ? {} : { alertingAt: wall(alertingAt) }),
    ...(connectAt === undefined ? {} : { connectAt: wall(connectAt) }),
    endAt: wall(endAt),
    durationMs: connectAt === undefined ? 0 : Math.max(0, Math.round(endAt - connectAt)),
    result: refused !== undefined ? 'refused' : connectAt === undefined ? 'failed' : 'connected',
    cause: facts.cause ?? 31,
    origin: facts.origin ?? (role === 'relay' ? 'relay-gateway' : 'termination-gateway'),
    ...(reason === undefined ? {} : { reason }),
    streams,
  };
}
