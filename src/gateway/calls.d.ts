import type { LegSetup } from '../call/leg.ts';
import { SipLeg } from '../interworking/sip-leg.ts';
import { type Result } from '../machine/machine.ts';
import type { CallId, CallMessage, Cause } from '../meta/message.ts';
import type { Refusal } from '../policy/refusal.ts';
import type { SessionRef, SipTarget } from '../sip/contract.ts';
import type { PeerConfig } from './config.ts';
import type { GatewayCall } from './gateway-call.ts';
import type { SiteLink } from './site-link.ts';
import type { GatewayState } from './state.ts';

type Setup = Extract<
  CallMessage,
  {
    kind: 'setup';
  }
>;
export declare function newLeg(
  gw: GatewayState,
  options: {
    call: CallId;
    session: SessionRef;
    role: 'caller' | 'callee';
    peer: PeerConfig;
    target?: SipTarget;
    /** Address the far end's signalling comes from. */
    source?: string;
  },
): SipLeg;
export interface BeginFromLeg {
  readonly call: CallId;
  readonly leg: SipLeg;
  readonly setup: LegSetup;
  /** Signalling source address, for the rate limits. */
  readonly source: string;
  /** Number of the account the call authenticated as. */
  readonly account?: string;
}
/** A call from this gateway's own side, towards the tunnel. */
export declare function beginFromLeg(gw: GatewayState, begin: BeginFromLeg): Result<GatewayCall, Refusal>;
/** A call from the far gateway, towards this gateway's own side. GW1 judges again, by its own rules. */
export declare function beginFromTunnel(
  gw: GatewayState,
  link: SiteLink,
  setup: Setup,
): Result<GatewayCall, Refusal>;
export declare function gatewayName(gw: GatewayState): 'relay-gateway' | 'termination-gateway';
/** Moves what leg and half-call have to say, until both are silent. */
export declare function drainCall(gw: GatewayState, call: GatewayCall): void;
/** Writes the record once everything about the call is known (or has had its time), and forgets the call. */
export declare function finishCall(gw: GatewayState, call: GatewayCall): void;
/** Releases a call from here: operator, lost tunnel, media failure. */
export declare function releaseCall(
  gw: GatewayState,
  call: GatewayCall,
  cause: Cause,
  origin: 'tunnel' | 'own',
): void;
