/**
 * A whole gateway as one Machine: SIP endpoint, calls, tunnels and media control, composed. It has no socket and no
 * clock: process/ carries its inputs and outputs in production, test/sim does in virtual time.
 */
import type { Machine, Millis } from '../machine/machine.ts';
import type { TunnelOptions } from '../tunnel/contract.ts';
import type { GatewayConfig } from './config.ts';
import type { GatewayInput, GatewayOutput } from './contract.ts';
import { type GatewayProviders } from './state.ts';
export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly providers: GatewayProviders;
  /** Tells restarts apart in the tunnel (tunnel/contract.ts). */
  readonly bootId: TunnelOptions['bootId'];
}
export declare class Gateway implements Machine<GatewayInput, GatewayOutput> {
  #private;
  constructor(options: GatewayOptions);
  /** What tests count after everything is over: each must be zero (links and bindings aside). */
  get sizes(): Readonly<Record<string, number>>;
  handle(input: GatewayInput, now: Millis): void;
  poll(): GatewayOutput | undefined;
  deadline(): Millis | undefined;
}
