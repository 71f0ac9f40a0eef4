import type { CloseReason } from './close-reason.ts';
import type { BootId } from './hello.ts';
import type { Outbox } from './outbox.ts';
import type { SessionKeys } from './session-keys.ts';

/** What outlives connections: one agreed session of two gateways. */
export interface SessionState {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly keys: SessionKeys;
  readonly peerBoot: BootId;
  readonly shards: number;
  readonly metaMinor: number;
  /** Greatest payload both ends take. */
  readonly maxPayload: number;
  readonly outbox: Outbox;
  /** Number of the last payload delivered upwards. */
  received: number;
}

/** Unacknowledged payloads of one session. */
export const MAX_WAITING_PAYLOADS = 4096;
export const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** What happened, for metrics. Only ever grow. */
export interface TunnelCounters {
  connections: number;
  sessions: number;
  resumes: number;
  lost: number;
  payloadsIn: number;
  payloadsOut: number;
  replayed: number;
  /** Payloads replayed to us that had arrived before. */
  duplicates: number;
  undelivered: number;
  alarms: number;
  /** Connections closed by us, and by the far end, by reason. */
  readonly closed: Partial<Record<CloseReason, number>>;
  readonly closedByPeer: Partial<Record<CloseReason | 'unknown', number>>;
}

export function newCounters(): TunnelCounters {
  return {
    connections: 0,
    sessions: 0,
    resumes: 0,
    lost: 0,
    payloadsIn: 0,
    payloadsOut: 0,
    replayed: 0,
    duplicates: 0,
    undelivered: 0,
    alarms: 0,
    closed: {},
    closedByPeer: {},
  };
}
