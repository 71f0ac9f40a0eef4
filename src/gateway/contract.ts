/** A whole gateway as one machine: what goes in, what comes out. process/ carries; test/sim plays the world. */

import type { StreamQuality } from '../call/quality.ts';
import type { CallRecord } from '../call/record.ts';
import type { H323Input, H323Output } from '../h323/contract.ts';
import type { Millis, Timeout } from '../machine/machine.ts';
import type { PlaneCommand, PlaneEvent, StreamCounters } from '../media/plane-contract.ts';
import type { SipInput, SipOutput } from '../sip/contract.ts';
import type { TunnelInput, TunnelOutput } from '../tunnel/contract.ts';
import type { GatewayConfig } from './config.ts';

export type GatewayInput =
  | Timeout
  | { readonly kind: 'sip'; readonly input: Exclude<SipInput, Timeout | { kind: 'command' }> }
  | { readonly kind: 'h323'; readonly input: Exclude<H323Input, Timeout | { kind: 'command' }> }
  /** `site`: name of the far gateway as its certificate says. */
  | {
      readonly kind: 'tunnel';
      readonly site: string;
      readonly input: Extract<TunnelInput, { kind: 'connected' | 'data' | 'closed' | 'renew' }>;
    }
  | { readonly kind: 'plane'; readonly shard: number; readonly event: PlaneEvent }
  /** A connection that net refused before anything was read of it; `reason` is one of net's few words. */
  | {
      readonly kind: 'refused';
      readonly name: 'sipRefused' | 'h323Refused' | 'laneRefused';
      readonly reason: string;
    }
  | { readonly kind: 'operator'; readonly request: number; readonly command: OperatorCommand }
  /** A new configuration of the same role and name; listeners and certificates are process/'s business. */
  | { readonly kind: 'configure'; readonly config: GatewayConfig }
  /** Starts links and probes. */
  | { readonly kind: 'start' }
  /** Orderly end: no new calls; `stopped` when the last call is over or `withinMs` has passed. */
  | { readonly kind: 'drain'; readonly withinMs: Millis };

export type GatewayOutput =
  | { readonly kind: 'sip'; readonly output: Exclude<SipOutput, { kind: 'event' | 'count' | 'trace' }> }
  | { readonly kind: 'h323'; readonly output: Exclude<H323Output, { kind: 'event' | 'count' | 'trace' }> }
  | {
      readonly kind: 'tunnel';
      readonly site: string;
      readonly output: Exclude<TunnelOutput, { kind: 'event' }>;
    }
  | { readonly kind: 'plane'; readonly shard: number; readonly command: PlaneCommand }
  | { readonly kind: 'cdr'; readonly record: CallRecord }
  | LogLine
  /** A labelled count; label values come from fixed vocabularies, never from the wire. */
  | { readonly kind: 'count'; readonly name: CounterName; readonly label: string }
  | {
      readonly kind: 'operator-reply';
      readonly request: number;
      readonly value: unknown;
      readonly error?: string;
    }
  /** A SIP message passed (start line only), for the metrics. */
  | { readonly kind: 'sip-message'; readonly direction: 'in' | 'out'; readonly line: string }
  /** An H.323 message passed (its line in the ladder), for the metrics. */
  | { readonly kind: 'h323-message'; readonly direction: 'in' | 'out'; readonly line: string }
  | { readonly kind: 'round-trip'; readonly site: string; readonly ms: Millis }
  /** The signalling link with a site works, or does not. */
  | { readonly kind: 'link'; readonly site: string; readonly up: boolean }
  | { readonly kind: 'stopped' };

export interface LogLine {
  readonly kind: 'log';
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** Short stable text. */
  readonly event: string;
  /** No secrets, no full numbers above debug. */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** Metric families with one label each; the label's name stands behind it. */
export const COUNTER_NAMES = {
  calls: 'result', // connected, failed, refused, preempted
  callsRefused: 'reason',
  releases: 'cause',
  sipRefused: 'reason',
  h323Refused: 'reason',
  metaRefused: 'reason',
  tunnelEvents: 'event',
  laneRefused: 'reason',
  mediaRefused: 'reason',
  registrations: 'outcome',
  /** Records not written, for there were too many. */
  recordsOmitted: 'kind',
  transfers: 'outcome',
  trunkRegistrations: 'outcome',
  /** T.38 streams that began. */
  faxes: 'side', // originator, terminator: of the call here
} as const;
export type CounterName = keyof typeof COUNTER_NAMES;

export type OperatorCommand =
  | { readonly command: 'status' }
  | { readonly command: 'calls' }
  | { readonly command: 'trace'; readonly call: string }
  | { readonly command: 'route-test'; readonly number: string; readonly from?: string }
  | { readonly command: 'drain' };

export interface CallView {
  readonly call: string;
  readonly state: string;
  readonly side: 'originator' | 'terminator';
  readonly peer: string;
  readonly site: string;
  readonly caller: string;
  readonly callee: string;
  readonly startedAt: string;
  readonly connectedSeconds: number;
  readonly codecs: readonly string[];
  readonly streams: readonly (StreamCounters & { readonly quality: StreamQuality })[];
}

export interface StatusView {
  readonly name: string;
  readonly role: string;
  readonly draining: boolean;
  readonly calls: number;
  readonly tunnels: readonly {
    readonly site: string;
    readonly state: 'up' | 'down' | 'never';
    readonly lanes: number;
    readonly roundTripMs: number;
    readonly session: string;
    /** Relay: why the last dial failed, where the tunnel is not up. */
    readonly problem?: string;
  }[];
  readonly peers: readonly { readonly name: string; readonly state: 'up' | 'down' | 'unprobed' }[];
  /** Our registrations with trunks. `reason`: how the last REGISTER ended. */
  readonly trunks: readonly {
    readonly peer: string;
    readonly registered: boolean;
    readonly secondsLeft: number;
    readonly reason: string;
  }[];
  readonly shards: readonly { readonly shard: number; readonly implementation: string }[];
  readonly registrations: number;
  readonly counters: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly foreignNames: Readonly<Record<string, number>>;
}

/** One step of the ladder: a message at this gateway's leg or at its tunnel. */
export interface TraceEntry {
  /** UTC milliseconds. */
  readonly at: number;
  readonly column: 'leg' | 'tunnel';
  readonly direction: 'in' | 'out';
  readonly line: string;
  readonly remote?: string;
}

export interface TraceView {
  readonly call: string;
  readonly gateway: string;
  readonly role: string;
  readonly peer: string;
  readonly site: string;
  readonly entries: readonly TraceEntry[];
}
