/** The policies of one gateway, made from its configuration: who a source is, who may call where, where media may go. */
import type { Address, SignallingTransport } from '../machine/address.ts';
import type { Millis, Result } from '../machine/machine.ts';
import type { Party } from '../meta/message.ts';
import { type AdmissionRequest, type AdmissionTicket } from '../policy/admission.ts';
import { type RouteDecision, type RouteExplanation } from '../policy/dial-rules.ts';
import type { Refusal } from '../policy/refusal.ts';
import type { GatewayConfig } from './config.ts';
export interface Source {
  readonly remote: Address;
  readonly listener: string;
  readonly transport: SignallingTransport;
  readonly certificateNames: readonly string[];
}
export declare class GatewayPolicy {
  #private;
  /** Throws where routes do not compile: store/config.ts has refused such a configuration before. */
  constructor(config: GatewayConfig, now: Millis);
  configure(config: GatewayConfig, now: Millis): void;
  /** The peer a source belongs to: by certificate name, else by address; a peer for everybody comes last. Banned strangers: nobody. */
  identify(source: Source, now: Millis): string | undefined;
  /** A refusal that the SIP endpoint has counted for `source`. */
  offence(reason: string, source: string, now: Millis): 'noted' | 'banned' | 'none';
  challenge(peer: string):
    | {
        readonly realm: string;
        readonly algorithms: readonly ('MD5' | 'SHA-256')[];
      }
    | undefined;
  mediaAddress(ip: string, peer: string, signallingSource: string | undefined): boolean;
  emergency(callee: Party): boolean;
  /** `from`: 'peer:NAME' or 'tunnel:SITE'. */
  route(from: string, callee: Party, caller: Party): RouteDecision;
  explain(from: string, callee: Party): RouteExplanation;
  /** The caller as this gateway vouches for it, or why the call is refused. */
  caller(caller: Party, peer: string, account: string | undefined): Result<Party, Refusal>;
  /** Places taken. */
  get admitted(): number;
  admit(request: AdmissionRequest, now: Millis): Result<AdmissionTicket, Refusal>;
  leave(ticket: AdmissionTicket): void;
  /** Whether one more Meta message of this far gateway is within its rate. */
  metaMessage(site: string, now: Millis): boolean;
}
