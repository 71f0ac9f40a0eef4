import type { SipDigestProof, SipEvent } from '../sip/contract.ts';
import type { PendingExchange } from './site-link.ts';
import type { GatewayState } from './state.ts';

type Request = Extract<
  SipEvent,
  {
    kind: 'request';
  }
>;
type Authenticate = Extract<
  SipEvent,
  {
    kind: 'authenticate';
  }
>;
export declare function authenticate(gw: GatewayState, event: Authenticate): void;
/** Number of the account that the proof shows, checked against the local accounts (RFC 7616 3.4.1). */
export declare function checkProof(gw: GatewayState, proof: SipDigestProof): string | undefined;
export declare function answer(gw: GatewayState, sipExchange: number, account: string | undefined): void;
/** An exchange with the relay gateway whose time is over: the endpoint's own deadline answers the user. */
export declare function exchangeOverdue(gw: GatewayState, _pending: PendingExchange): void;
/** REGISTER (RFC 3261 10.3) of an authenticated account. */
export declare function register(gw: GatewayState, event: Request): void;
