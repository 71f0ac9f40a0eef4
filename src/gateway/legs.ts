/** The legs of calls at a gateway: adapters for a peer or a registered user, with their negotiation and ports. */
import type { CallRef } from '../h323/contract.ts';
import { H245Negotiation } from '../interworking/h245-negotiation.ts';
import { type H323Consultation, H323Leg } from '../interworking/h323-leg.ts';
import { SdpNegotiation } from '../interworking/sdp-negotiation.ts';
import { SipLeg } from '../interworking/sip-leg.ts';
import { type Address, isIpv6 } from '../machine/address.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import type { CallId, FormatName, Party } from '../meta/message.ts';
import type { Refusal } from '../policy/refusal.ts';
import type { SessionRef, SipTarget } from '../sip/contract.ts';
import type { SipReplaces } from '../sip/header/replaces.ts';
import type { PeerConfig } from './config.ts';
import type { GatewayState } from './state.ts';

/** The peer's own call that a new one is to replace (an attended transfer), as the peer named it. */
export type ReplacedCall = SipReplaces | H323Consultation;

export function newLeg(
  gw: GatewayState,
  options: {
    call: CallId;
    session: SessionRef;
    role: 'caller' | 'callee';
    peer: PeerConfig;
    target?: SipTarget;
    /** Address the far end's signalling comes from. */
    source?: string;
    replaces?: SipReplaces;
  },
): SipLeg {
  const { peer, role } = options;
  const side = role === 'caller' ? 'originator' : 'terminator';
  const negotiation = new SdpNegotiation({
    side,
    ports: gw.media.ports(options.call, familyOf(options.source ?? peer.host), sharesPorts(gw, peer)),
    sessionId: gw.providers.random.uint32() & 0x7fff_ffff,
    codecs: codecsOf(gw, peer),
    acceptMediaAddress: (ip) => gw.policy.mediaAddress(ip, peer.name, options.source),
    learnMediaAddress: (ip) => gw.policy.learnMediaAddress(ip, peer.name, options.source),
  });
  return new SipLeg({
    session: options.session,
    role,
    negotiation,
    trusted: peer.trusted,
    vouched: gw.config.role === 'termination', // whom it calls is called by a site
    ...(options.target === undefined ? {} : { target: options.target }),
    ...(options.replaces === undefined ? {} : { replaces: options.replaces }),
  });
}

/** The formats allowed with a peer: those of all, and fax as it says itself. */
function codecsOf(gw: GatewayState, peer: PeerConfig): readonly FormatName[] {
  const { codecs } = gw.config.media;
  const fax = codecs.includes('T38');
  if ((peer.fax ?? fax) === fax) return codecs;
  return fax ? codecs.filter((name) => name !== 'T38') : [...codecs, 'T38'];
}

/** Only where the source is signalled are streams on one port told apart. */
function sharesPorts(gw: GatewayState, peer: PeerConfig): boolean {
  const { media } = gw.config;
  return (
    (peer.symmetric ?? media.symmetric) === 'signalled' && (peer.sharedPorts ?? media.sharedPorts ?? false)
  );
}

/** Same for an H.323 peer. */
export function newH323Leg(
  gw: GatewayState,
  options: {
    call: CallId;
    ref: CallRef;
    role: 'caller' | 'callee';
    peer: PeerConfig;
    target?: Address;
    source?: string;
    replaces?: H323Consultation;
  },
): H323Leg {
  const { peer, role, target } = options;
  const source = options.source ?? target?.ip;
  return new H323Leg({
    call: options.ref,
    role,
    negotiation: new H245Negotiation({
      side: role === 'caller' ? 'originator' : 'terminator',
      ports: gw.media.ports(options.call, familyOf(source ?? peer.host), sharesPorts(gw, peer)),
      codecs: codecsOf(gw, peer),
      acceptMediaAddress: (ip) => gw.policy.mediaAddress(ip, peer.name, source),
    }),
    peer: {
      name: peer.name,
      fastStart: peer.h323?.fastStart ?? false,
      earlyH245: peer.h323?.earlyH245 ?? false,
      trusted: peer.trusted,
    },
    ...(target === undefined ? {} : { target }),
    ...(options.replaces === undefined ? {} : { replaces: options.replaces }),
  });
}

/** Address family to offer media in: that of the signalling, where it is known. */
function familyOf(host: string): 4 | 6 | undefined {
  if (isIpv6(host)) return 6;
  return /^[0-9.]+$/.test(host) ? 4 : undefined;
}

export interface LegTarget {
  readonly peer: PeerConfig;
  /** Where a registered user is, in place of the peer's address. */
  readonly sip?: SipTarget;
  /** Where the user has registered from. */
  readonly source?: string;
  readonly h323?: Address;
}

/** The leg to call a peer or a registered user with. */
export function legTo(
  gw: GatewayState,
  call: CallId,
  to: LegTarget,
  replaces?: ReplacedCall,
): SipLeg | H323Leg {
  const { peer, sip, h323 } = to;
  if (peer.protocol === 'h323') {
    const target = h323 === undefined ? {} : { target: h323 };
    const replaced = replaces !== undefined && 'callIdentity' in replaces ? { replaces } : {};
    return newH323Leg(gw, { call, ref: gw.newSession(), role: 'callee', peer, ...target, ...replaced });
  }
  const target = sip === undefined ? {} : { target: sip };
  const source = sourceOf(to);
  return newLeg(gw, {
    call,
    session: gw.newSession(),
    role: 'callee',
    peer,
    ...target,
    ...(source === undefined ? {} : { source }),
    ...(replaces !== undefined && 'callId' in replaces ? { replaces } : {}),
  });
}

export function targetOf(
  gw: GatewayState,
  decision:
    | { readonly kind: 'peer'; readonly peer: string }
    | { readonly kind: 'registered'; readonly callee: Party },
): Result<LegTarget, Refusal> {
  if (decision.kind === 'peer') {
    const peer = gw.peer(decision.peer);
    if (peer === undefined) return fail({ cause: 3, reason: 'unknown-peer' });
    if (gw.peersDown.has(peer.name)) return fail({ cause: 27, reason: 'peer-down' });
    return ok({ peer });
  }
  const terminal = gw.terminals.lookup(decision.callee.number);
  const service = gw.config.h323?.gatekeeper;
  if (terminal !== undefined && service !== undefined) {
    const peer = gw.peer(service.peer);
    if (peer !== undefined) return ok({ peer, h323: terminal.address });
  }
  const binding = gw.registrar.lookup(decision.callee.number, gw.now).at(-1);
  const peer = binding === undefined ? undefined : gw.peer(binding.peer);
  if (binding === undefined || peer === undefined) return fail({ cause: 20, reason: 'not-registered' });
  return ok({ peer, sip: { uri: binding.uri, flow: binding.flow }, source: binding.source });
}

export function sourceOf(target: LegTarget): string | undefined {
  if (target.h323 !== undefined) return target.h323.ip;
  if (target.source !== undefined) return target.source;
  return familyOf(target.peer.host) === undefined ? undefined : target.peer.host;
}
