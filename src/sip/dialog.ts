/** Dialogs (RFC 3261 12): their identity, route set, sequence numbers, and where their requests go. */

import type { SipPeer } from './contract.ts';
import type { Core, Hop, Source } from './core.ts';
import { headerValues, nameAddresses, optionTags } from './header/access.ts';
import { formatNameAddress } from './header/name-address.ts';
import { canonicalIp } from './host.ts';
import { tableKey } from './key.ts';
import type { NameAddress, SipMessage, SipRequest, SipResponse, SipUri } from './message.ts';
import { type Query, queryOfPeer, type Target } from './resolve.ts';
import type { Outgoing } from './transaction/client.ts';
import type { Transport } from './transport.ts';

export interface Dialog {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  /** From and To values of our requests without tags. */
  readonly local: string;
  readonly remote: string;
  remoteTarget: SipUri;
  /** Proxies on the way, nearest first. */
  readonly routes: readonly NameAddress[];
  localSequence: number;
  remoteSequence: number | undefined;
  /** Where the far end's messages come from. */
  source: Source;
  /** The far end takes UPDATE (its Allow says so, and it has not refused one as unknown). */
  takesUpdate: boolean;
  /** The last ACK of a 2xx, sent again whenever that 2xx comes again (13.2.2.4). */
  ack: { readonly sequence: number; readonly message: Outgoing; readonly hop: Hop } | undefined;
}

export function dialogKey(callId: string, localTag: string, remoteTag: string): string {
  return tableKey([callId, localTag, remoteTag]);
}

export function keyOf(dialog: Dialog): string {
  return dialogKey(dialog.callId, dialog.localTag, dialog.remoteTag);
}

/** Contact of a message that makes or refreshes a dialog: exactly one sip(s) URI (RFC 3261 8.1.1.8). */
export function contactOf(message: Pick<SipMessage, 'headers'>): SipUri | undefined {
  const contacts = nameAddresses(message, 'Contact', 8);
  const uri = contacts?.[0]?.uri;
  return contacts?.length === 1 && uri?.scheme !== 'tel' ? uri : undefined;
}

/** RFC 3261 12.1.1: UAS side, from the INVITE. Undefined where its Contact or Record-Route will not do. */
export function dialogOfRequest(request: SipRequest, source: Source, localTag: string): Dialog | undefined {
  const remoteTarget = contactOf(request);
  const routes = nameAddresses(request, 'Record-Route');
  if (remoteTarget === undefined || routes === undefined) return undefined;
  return {
    callId: request.callId,
    localTag,
    remoteTag: request.fromTag,
    local: formatNameAddress({ uri: request.to.uri }),
    remote: formatNameAddress({ uri: request.from.uri }),
    remoteTarget,
    routes,
    localSequence: 0,
    remoteSequence: request.cseq.number,
    source,
    takesUpdate: takesUpdate(request),
    ack: undefined,
  };
}

/** What a UAC knows before any response. */
export interface Caller {
  readonly callId: string;
  readonly localTag: string;
  readonly local: string;
  readonly remote: string;
  /** Where the INVITE went: stands in where a response has no usable Contact. */
  readonly requestUri: SipUri;
}

/** RFC 3261 12.1.2: UAC side, from a 1xx or 2xx with a To tag. */
export function dialogOfResponse(
  caller: Caller,
  response: SipResponse,
  sequence: number,
  source: Source,
): Dialog {
  return {
    callId: caller.callId,
    localTag: caller.localTag,
    remoteTag: response.toTag,
    local: caller.local,
    remote: caller.remote,
    remoteTarget: contactOf(response) ?? caller.requestUri,
    routes: (nameAddresses(response, 'Record-Route') ?? []).reverse(),
    localSequence: sequence,
    remoteSequence: undefined,
    source,
    takesUpdate: takesUpdate(response),
    ack: undefined,
  };
}

function takesUpdate(message: SipMessage): boolean {
  return headerValues(message, 'Allow').some((value) => /(?:^|[ \t,])UPDATE(?:[ \t,]|$)/.test(value));
}

/** Whether the far end's option tags have `tag` (Supported). */
export function supports(message: Pick<SipMessage, 'headers'>, tag: string): boolean {
  return optionTags(message, 'Supported').has(tag);
}

/**
 * Where the next request of a dialog goes. RFC 3261 12.2.1.1 says: the first route, else the remote target; both are
 * words of the far end, so they count only where they lead to the same peer and not out of the network zone its messages
 * come from. Otherwise (NAT, a host name, a lie) the request goes where the far end's messages come from, and over a
 * stream always over the connection in use while it lives.
 */
export function nextHop(
  core: Core,
  transport: Transport,
  dialog: Dialog,
  peer: SipPeer,
): readonly Target[] | Query {
  const { hop } = dialog.source;
  if (transport.isOpen(hop.connection)) {
    const { connection, listener } = hop;
    return [{ transport: hop.transport, address: hop.remote, connection, listener: listener.name }];
  }
  const target = peer.boundToSource === true ? undefined : statedTarget(core, dialog);
  if (target !== undefined) return [target];
  if (hop.transport === 'udp') {
    return [{ transport: 'udp', address: hop.remote, listener: hop.listener.name }];
  }
  if (peer.boundToSource === true) return []; // its connection is gone, and nobody can dial it
  return queryOfPeer(peer);
}

function statedTarget(core: Core, dialog: Dialog): Target | undefined {
  const { hop, peer } = dialog.source;
  const uri = dialog.routes[0]?.uri ?? dialog.remoteTarget;
  const ip = canonicalIp(uri.host);
  if (ip === undefined) return undefined;
  const stated = uri.parameters.get('transport')?.toLowerCase();
  const transport =
    uri.scheme === 'sips' || stated === 'tls' || hop.transport === 'tls'
      ? 'tls'
      : stated === 'tcp'
        ? 'tcp'
        : 'udp';
  const address = { ip, port: uri.port ?? (transport === 'tls' ? 5061 : 5060) };
  if (ip !== hop.remote.ip) {
    if (zone(ip) !== zone(hop.remote.ip)) return undefined;
    const listener = core.listenerFor(transport, ip, hop.listener.name);
    if (listener === undefined) return undefined;
    const owner = core.options.decisions.identify({
      remote: address,
      listener: listener.name,
      transport,
      certificateNames: [],
    });
    if (owner !== peer && core.resolvedPeers.get(ip, core.now) !== peer) return undefined;
  }
  return { transport, address, listener: hop.listener.name };
}

/** Which part of the world an address belongs to; requests do not follow a Contact from one into another. */
export function zone(ip: string): 'loopback' | 'link-local' | 'private' | 'multicast' | 'public' {
  if (ip.includes(':')) {
    if (ip.startsWith('::ffff:')) return zone(ip.slice(7));
    if (ip === '::1' || ip === '::') return 'loopback';
    if (/^fe[89ab]/.test(ip)) return 'link-local';
    if (/^f[cd]/.test(ip)) return 'private';
    return ip.startsWith('ff') ? 'multicast' : 'public';
  }
  const [a = 0, b = 0] = ip.split('.').map(Number);
  if (a === 127 || a === 0) return 'loopback';
  if (a === 169 && b === 254) return 'link-local';
  if (a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168)) return 'private';
  if (a === 100 && b >= 64 && b < 128) return 'private'; // RFC 6598
  return a >= 224 ? 'multicast' : 'public';
}
