/**
 * Transfers (docs/decisions/0006-transfer.md). The far gateway's leg asks for the party at ours to be transferred to a number. That
 * number is dialled as the party at our leg would dial it, by this gateway's own dial rules: a new call over the tunnel, which takes over
 * our leg once it is answered (RFC 3725 flow I: set-up without an offer, the answer's offer goes to our leg in a re-INVITE). Where the rules
 * lead to the very peer of our leg, that peer is sent a REFER of our own making.
 */
import type { LegCommand, LegEvent } from '../call/leg.ts';
import type { H323Leg } from '../interworking/h323-leg.ts';
import type { SipLeg } from '../interworking/sip-leg.ts';
import type { Cause, MediaOffer, Party } from '../meta/message.ts';
import { enter } from './call-setup.ts';
import { releaseCall } from './calls.ts';
import type { GatewayCall } from './gateway-call.ts';
import type { ReplacedCall } from './legs.ts';
import { NoLeg } from './no-leg.ts';
import type { GatewayState } from './state.ts';

export interface Transfer {
  /** The call whose party is transferred; it may end before the new one is answered (its other party hung up). */
  readonly old: GatewayCall;
  readonly next: GatewayCall;
  /** The transferred party's leg: of `old` until it is handed over. */
  readonly leg: SipLeg | H323Leg;
  handedOver: boolean;
  /** The new party's offer has gone to the leg. */
  offered: boolean;
  /** The new party's offer, from its answer on. */
  offer: MediaOffer | undefined;
  /** Times the leg's far end changed something at the same moment. */
  glares: number;
}

/** After so many crossings with changes of the transferred party the transfer has failed. */
const MOST_GLARES = 3;

/** The new party must answer within this; less than the 60 s the side that asked waits for the outcome (meta-protocol 4.1). */
const RING_MS = 45_000;
const HOPS = 69;
/** Transfers of one party: extensions that transfer to each other end here. */
const MOST_TRANSFERS = 20;
const CAUSE = {
  noRoute: 3,
  loop: 25,
  normal: 16,
  rejected: 21,
  temporary: 41,
  incompatible: 88,
  notImplemented: 79,
} as const;

/** The far gateway asks for the party at `call`'s leg to be transferred. */
export function startTransfer(gw: GatewayState, call: GatewayCall, target: Party, replaces: boolean): void {
  const refused = begin(gw, call, target, replaces);
  if (refused === undefined) return;
  gw.count('transfers', refused.reason);
  gw.log('info', 'transfer refused', { call: call.half.call, peer: call.peer, reason: refused.reason });
  call.half.transferResult('failure', refused.cause);
}

interface Refused {
  readonly cause: Cause;
  readonly reason: string;
}

function begin(gw: GatewayState, call: GatewayCall, target: Party, replaces: boolean): Refused | undefined {
  const peer = gw.peer(call.peer);
  if (!(peer?.transferable ?? gw.config.role === 'termination')) {
    return { cause: CAUSE.rejected, reason: 'not-permitted' };
  }
  if (replaces) return { cause: CAUSE.notImplemented, reason: 'replaces' };
  if (call.transfer !== undefined || call.referring) return { cause: CAUSE.temporary, reason: 'pending' };
  const leg = call.adapter;
  if (leg.protocol === 'none') return { cause: CAUSE.notImplemented, reason: 'protocol' };
  if (call.transfers >= MOST_TRANSFERS) return { cause: CAUSE.loop, reason: 'loop' };
  const party = call.half.side === 'originator' ? call.caller : call.callee;
  const own = gw.policy.route(`peer:${call.peer}`, target, party);
  if (own.kind === 'tunnel') return place(gw, call, leg, own);
  // As the one who asks would call it: where that leads to the same peer, the peer can connect the two itself.
  const asker = call.half.side === 'originator' ? call.callee : call.caller;
  const theirs = own.kind === 'peer' ? own : gw.policy.route(`tunnel:${call.site}`, target, asker);
  if (theirs.kind === 'refuse') return theirs.refusal;
  if (theirs.kind !== 'peer' || theirs.peer !== call.peer)
    return { cause: CAUSE.noRoute, reason: 'same-side' };
  call.referring = true;
  gw.count('transfers', 'referred');
  call.half.transferResult('trying');
  leg.command({ kind: 'transfer', target: theirs.callee }, gw.now);
  gw.dirty.add(call);
  return undefined;
}

/** The call to the new party, without a leg until it is answered. */
function place(
  gw: GatewayState,
  old: GatewayCall,
  leg: SipLeg | H323Leg,
  to: { readonly site?: string; readonly route: string; readonly caller: Party; readonly callee: Party },
): Refused | undefined {
  const link = to.site === undefined ? [...gw.links.values()][0] : gw.links.get(to.site);
  if (link === undefined) return { cause: CAUSE.noRoute, reason: 'unknown-site' };
  if (!link.usable) return { cause: CAUSE.temporary, reason: 'tunnel-down' };
  const emergency = gw.policy.emergency(to.callee);
  const admitted = gw.policy.admit({ peer: old.peer, site: link.site, emergency }, gw.now);
  if (!admitted.ok) return admitted.error;
  const made = enter(gw, {
    id: gw.newCallId(),
    side: 'originator',
    link,
    adapter: new NoLeg(gw.newSession()),
    peer: old.peer,
    caller: to.caller,
    callee: to.callee,
    route: to.route,
    priority: emergency ? 'emergency' : 'normal',
    admission: admitted.value,
    source: old.source,
    // The same worker: the leg's port goes over from one stream to the other.
    shard: Math.min(old.shard, link.shards - 1),
    ringMs: RING_MS,
    // Both records name the first call: who pays is who made it.
    accountingId: old.half.facts.accountingId ?? old.half.call,
  });
  if (!made.ok) return made.error;
  const next = made.value;
  next.transfers = old.transfers + 1;
  const transfer: Transfer = {
    old,
    next,
    leg,
    handedOver: false,
    offered: false,
    offer: undefined,
    glares: 0,
  };
  old.transfer = transfer;
  next.transfer = transfer;
  gw.count('transfers', 'begun');
  old.half.transferResult('trying');
  const { caller, callee, peer, priority } = next;
  next.half.leg({ kind: 'setup', peer, caller, callee, hops: HOPS, priority }, gw.now);
  gw.dirty.add(next);
  return undefined;
}

/**
 * The far gateway makes the call that our party has asked for in a transfer: the call of our party's that it is to replace. Only for
 * the peer that named it, to which alone it means something; the two calls have the accounting id in common.
 */
export function replacedBy(
  gw: GatewayState,
  site: string,
  peer: string,
  setup: { readonly accountingId?: string },
): ReplacedCall | undefined {
  const { accountingId } = setup;
  if (accountingId === undefined) return undefined;
  for (const call of gw.calls.ofSite(site)) {
    const { adapter, half } = call;
    if (adapter.protocol === 'none' || adapter.referred === undefined || call.peer !== peer) continue;
    if (half.call !== accountingId && half.facts.accountingId !== accountingId) continue;
    const { referred } = adapter;
    adapter.referred = undefined;
    return referred;
  }
  return undefined;
}

/** A half-call's command in a call that takes part in a transfer. True: it was meant for us, not for the leg. */
export function transferCommand(gw: GatewayState, call: GatewayCall, command: LegCommand): boolean {
  const transfer = call.transfer;
  if (transfer === undefined) return false;
  return call === transfer.next ? newCallSays(gw, transfer, command) : oldCallSays(gw, transfer, command);
}

function newCallSays(gw: GatewayState, transfer: Transfer, command: LegCommand): boolean {
  const { old, next, leg } = transfer;
  switch (command.kind) {
    case 'alerting':
      old.half.transferResult('alerting');
      gw.dirty.add(old);
      return true;
    case 'connect': {
      const offer = command.media?.kind === 'offer' ? command.media : undefined;
      transfer.offer = offer;
      if (offer === undefined || leg.ended) releaseCall(gw, next, CAUSE.incompatible, 'own');
      else offerToLeg(gw, next);
      return true;
    }
    case 'release':
      failed(gw, transfer, command.cause);
      return !transfer.handedOver; // where the old call is over the leg ends with the new one
    case 'modify':
      next.half.leg({ kind: 'modify-refuse', cause: CAUSE.temporary, glare: true }, gw.now);
      return true;
    default:
      return true; // proceeding, progress, media before there is a leg to hear it
  }
}

/** The new party has answered: its offer goes to the transferred party, as soon as no other change is open there. */
export function offerToLeg(gw: GatewayState, call: GatewayCall): void {
  const { transfer } = call;
  if (transfer?.offer === undefined || transfer.offered || transfer.leg.modify !== 'none') return;
  transfer.offered = true;
  transfer.leg.command({ kind: 'modify', media: transfer.offer }, gw.now);
  gw.dirty.add(transfer.handedOver ? transfer.next : transfer.old);
}

function oldCallSays(gw: GatewayState, transfer: Transfer, command: LegCommand): boolean {
  switch (command.kind) {
    case 'release':
      // Who asked for the transfer has hung up: it goes on without them (RFC 5589 6.1).
      handOver(gw, transfer);
      return true;
    case 'modify':
      if (!transfer.offered) return false;
      transfer.old.half.leg({ kind: 'modify-refuse', cause: CAUSE.temporary, glare: true }, gw.now);
      return true;
    default:
      return false;
  }
}

/** An event of the transferred party's leg. True: it was meant for us, not for the half-call. */
export function transferEvent(gw: GatewayState, call: GatewayCall, event: LegEvent): boolean {
  if (event.kind === 'transfer-progress') {
    referred(gw, call, event.outcome, event.cause);
    return true;
  }
  if (event.kind === 'transfer-request' && !mayTransfer(gw, call)) return true;
  const transfer = call.transfer;
  if (transfer === undefined) return false;
  const { next } = transfer;
  switch (event.kind) {
    case 'modify-accept':
      if (!transfer.offered) return false;
      if (event.media?.kind === 'answer') succeeded(gw, transfer, event.media);
      else releaseCall(gw, next, CAUSE.incompatible, 'own');
      return true;
    case 'modify-refuse':
      if (!transfer.offered) return false;
      transfer.offered = false;
      if (event.glare && ++transfer.glares <= MOST_GLARES) return true; // again once the far end's change is through
      releaseCall(gw, next, event.cause, 'own');
      return true;
    case 'modify':
      if (!transfer.handedOver) return false;
      transfer.leg.command({ kind: 'modify-refuse', cause: CAUSE.temporary, glare: true }, gw.now);
      return true;
    case 'release':
      // The transferred party hangs up.
      finish(gw, transfer, 'abandoned');
      if (call !== next) releaseCall(gw, next, CAUSE.normal, 'own');
      return false;
    default:
      return false;
  }
}

/** Whether our own party may ask; the SIP endpoint has refused its REFER already where not, H.323 has nothing before us. */
function mayTransfer(gw: GatewayState, call: GatewayCall): boolean {
  if (gw.peer(call.peer)?.mayTransfer ?? gw.config.role === 'relay') return true;
  gw.count('transfers', 'not-permitted');
  call.adapter.command({ kind: 'transfer-result', outcome: 'failure', cause: CAUSE.rejected }, gw.now);
  return false;
}

function succeeded(
  gw: GatewayState,
  transfer: Transfer,
  media: Extract<NonNullable<Extract<LegEvent, { kind: 'media' }>['media']>, { kind: 'answer' }>,
): void {
  const { old, next } = transfer;
  const alone = transfer.handedOver;
  if (!alone) handOver(gw, transfer);
  finish(gw, transfer, 'success');
  next.half.leg({ kind: 'media', media }, gw.now);
  gw.dirty.add(next);
  if (alone) return;
  old.endReason = 'transferred';
  old.half.transferResult('success');
  releaseCall(gw, old, CAUSE.normal, 'own');
}

/** The new call came to nothing: the old one stands as it was, if it still does. */
function failed(gw: GatewayState, transfer: Transfer, cause: Cause): void {
  const { old } = transfer;
  finish(gw, transfer, 'failure');
  if (transfer.handedOver) return;
  old.half.transferResult('failure', cause);
  gw.dirty.add(old);
}

function finish(gw: GatewayState, transfer: Transfer, outcome: 'success' | 'failure' | 'abandoned'): void {
  transfer.old.transfer = undefined;
  transfer.next.transfer = undefined;
  gw.count('transfers', outcome);
  gw.log('info', 'transfer over', { call: transfer.old.half.call, next: transfer.next.half.call, outcome });
}

/** The leg, its session, ports and ladder are the new call's from here on. */
function handOver(gw: GatewayState, transfer: Transfer): void {
  const { old, next, leg } = transfer;
  if (transfer.handedOver) return;
  transfer.handedOver = true;
  gw.calls.swapLegs(old, next);
  const none = next.adapter;
  next.adapter = leg;
  old.adapter = none;
  leg.negotiation.moveTo('originator');
  gw.media.move(old.half.call, next.half.call, gw.now);
  gw.trace.claim(next.half.call, next.leg);
  gw.dirty.add(next);
}

/** How our REFER to the leg's own peer fares. */
function referred(
  gw: GatewayState,
  call: GatewayCall,
  outcome: 'alerting' | 'success' | 'failure',
  cause: Cause | undefined,
): void {
  if (!call.referring) return;
  call.half.transferResult(outcome, cause);
  if (outcome === 'alerting') return;
  call.referring = false;
  gw.count('transfers', outcome);
  // The two talk at their own side now.
  if (outcome === 'success') releaseCall(gw, call, CAUSE.normal, 'own');
}
