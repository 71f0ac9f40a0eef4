import type { Millis } from '../machine/machine.ts';
import type { TunnelEvent } from '../tunnel/contract.ts';
import type { SiteLink } from './site-link.ts';
import type { GatewayState } from './state.ts';
export declare function tunnelEvent(gw: GatewayState, link: SiteLink, event: TunnelEvent): void;
export declare function linkTimeout(gw: GatewayState, link: SiteLink, now: Millis): void;
