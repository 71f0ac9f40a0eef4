import { CallTable } from '../call/call-table.ts';
import type { Crypto, Millis, Random, WallMillis } from '../machine/machine.ts';
import { Timers } from '../machine/timers.ts';
import type { MediaControl } from '../media/media-control.ts';
import type { CallId } from '../meta/message.ts';
import type { SessionRef } from '../sip/contract.ts';
import type { SipEndpoint } from '../sip/endpoint.ts';
import type { GatewayConfig, PeerConfig } from './config.ts';
import type { CounterName, GatewayOutput, LogLine } from './contract.ts';
import { Counters } from './counters.ts';
import type { GatewayCall } from './gateway-call.ts';
import type { GatewayPolicy } from './gateway-policy.ts';
import { Registrar } from './registrar.ts';
import type { SiteLink } from './site-link.ts';
import { TraceBook } from './trace.ts';
export interface GatewayProviders {
  readonly random: Random;
  readonly crypto: Crypto;
  /** UTC, for records and nonces only. */
  wall(): WallMillis;
}
export declare class GatewayState {
  #private;
  config: GatewayConfig;
  policy: GatewayPolicy;
  readonly providers: GatewayProviders;
  readonly sip: SipEndpoint;
  readonly media: MediaControl;
  readonly links: Map<string, SiteLink>;
  readonly calls: CallTable<GatewayCall>;
  /** Calls with output to drain. */
  readonly dirty: Set<GatewayCall>;
  readonly timers: Timers<string>;
  readonly counters: Counters;
  readonly registrar: Registrar;
  readonly trace: TraceBook;
  readonly peersDown: Set<string>;
  readonly peersUp: Set<string>;
  readonly shards: Map<number, string>;
  draining: boolean;
  stopped: boolean;
  now: Millis;
  constructor(options: {
    config: GatewayConfig;
    policy: GatewayPolicy;
    providers: GatewayProviders;
    sip: SipEndpoint;
    media: MediaControl;
  });
  emit(output: GatewayOutput): void;
  next(): GatewayOutput | undefined;
  count(name: CounterName, label: string): void;
  log(level: LogLine['level'], event: string, fields?: LogLine['fields']): void;
  newSession(): SessionRef;
  newCallId(): CallId;
  peer(name: string): PeerConfig | undefined;
}
