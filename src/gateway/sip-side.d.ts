import type { SipEvent } from '../sip/contract.ts';
import type { GatewayState } from './state.ts';
export declare function sipEvent(gw: GatewayState, event: SipEvent): void;
