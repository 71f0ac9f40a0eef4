import { type CallRecord } from '../call/record.ts';
import type { GatewayCall } from './gateway-call.ts';
import type { GatewayState } from './state.ts';
/** The record of a call that is over, from its half-call and the plane's last counters. */
export declare function recordOf(gw: GatewayState, call: GatewayCall): CallRecord;
