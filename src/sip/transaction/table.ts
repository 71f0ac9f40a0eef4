/** All transactions and how messages find theirs (RFC 3261 17.1.3, 17.2.3). */
import { decrease, increase } from '../../machine/counts.ts';
import type { Core, Source } from '../core.ts';
import { tableKey } from '../key.ts';
import type { SipRequest, SipResponse } from '../message.ts';
import type { Transport } from '../transport.ts';
import { formatUri } from '../uri.ts';
import { type ClientSpec, ClientTransaction, type Outgoing } from './client.ts';
import { ServerTransaction } from './server.ts';

/** Requests inside dialogs and our own may go this far above the cap: calls in progress must still end. */
const RESERVE = 1.25;
/** Share of the table that one source address of strangers (boundToSource), or of a peer proper, may hold with new requests. */
const STRANGER_SHARE = 0.05;
const PEER_SHARE = 0.75;
/** A household of phones behind one address always has room for this many. */
const STRANGER_LEAST = 50;

export class TransactionTable {
  readonly #core: Core;
  readonly #transport: Transport;
  readonly #clients = new Map<string, ClientTransaction>();
  readonly #servers = new Map<string, ServerTransaction>();
  readonly #merged = new Map<string, ServerTransaction>();
  /** Server transactions outside dialogs by source IP. */
  readonly #perSource = new Map<string, number>();

  constructor(core: Core, transport: Transport) {
    this.#core = core;
    this.#transport = transport;
  }

  get size(): number {
    return this.#clients.size + this.#servers.size;
  }

  /** Room for a request of ours that starts something new. */
  get room(): boolean {
    return this.size < this.#core.options.limits.transactions;
  }

  /** Room for a request of this source that starts something new: one source cannot fill the table for the others. */
  roomFor(source: Source): boolean {
    if (!this.room) return false;
    const { transactions } = this.#core.options.limits;
    const stranger = this.#core.peers.get(source.peer)?.boundToSource === true;
    const most = stranger
      ? Math.max(STRANGER_SHARE * transactions, STRANGER_LEAST)
      : PEER_SHARE * transactions;
    return (this.#perSource.get(source.hop.remote.ip) ?? 0) < most;
  }

  /** Room for what belongs to something that lives already. */
  get reserve(): boolean {
    return this.size < RESERVE * this.#core.options.limits.transactions;
  }

  client(spec: ClientSpec, message: Outgoing): ClientTransaction {
    return new ClientTransaction(this.#core, this, this.#transport, spec, message);
  }

  server(request: SipRequest, source: Source): ServerTransaction {
    const keys = { key: serverKey(request, source), mergeKey: mergeKey(request, source) };
    return new ServerTransaction(this.#core, this, this.#transport, keys, request, source);
  }

  /** 17.1.3: same branch and CSeq method; and it comes from where the request went. */
  matchResponse(response: SipResponse, source: Source): ClientTransaction | undefined {
    const via = response.vias[0]!;
    const client = this.#clients.get(tableKey([via.branch, response.cseq.method]));
    if (client === undefined || !client.answers(source)) return undefined;
    // 18.1.2: sent-by must be ours; more than one Via was not for us (8.1.3.3).
    const { advertise } = client.hop.listener;
    if (response.vias.length > 1 || via.host !== advertise.ip) return undefined;
    return client;
  }

  /** 17.2.3. An ACK matches the INVITE it acknowledges. */
  matchRequest(request: SipRequest, source: Source): ServerTransaction | undefined {
    return this.#servers.get(serverKey(request, source));
  }

  /** 9.2: the INVITE that a CANCEL is for. */
  matchCancel(cancel: SipRequest, source: Source): ServerTransaction | undefined {
    return this.#servers.get(serverKey(cancel, source, 'INVITE'));
  }

  /** 8.2.2.2: the same request by another path. */
  isMerged(request: SipRequest, source: Source): boolean {
    return this.#merged.has(mergeKey(request, source));
  }

  addClient(client: ClientTransaction): void {
    this.#clients.set(tableKey([client.spec.branch, client.spec.method]), client);
  }

  removeClient(client: ClientTransaction): void {
    const key = tableKey([client.spec.branch, client.spec.method]);
    if (this.#clients.get(key) === client) this.#clients.delete(key);
  }

  addServer(server: ServerTransaction): void {
    this.#servers.set(server.key, server);
    if (!server.outsideDialog) return;
    this.#merged.set(server.mergeKey, server);
    const { ip } = server.source.hop.remote;
    increase(this.#perSource, ip);
  }

  removeServer(server: ServerTransaction): void {
    if (this.#servers.get(server.key) !== server) return;
    this.#servers.delete(server.key);
    if (server.outsideDialog) decrease(this.#perSource, server.source.hop.remote.ip);
    if (this.#merged.get(server.mergeKey) === server) this.#merged.delete(server.mergeKey);
  }
}

/**
 * The source IP is part of every key: nobody can match, cancel or repeat another source's transaction. Without RFC 3261's
 * magic cookie the fields of RFC 2543 stand in for the branch.
 */
function serverKey(request: SipRequest, source: Source, as = request.method): string {
  const via = request.vias[0]!;
  const method = as === 'ACK' ? 'INVITE' : as;
  const sender = [source.hop.remote.ip, via.host, via.port ?? '', method, via.branch];
  if (/^z9hg4bk/i.test(via.branch)) return tableKey(sender);
  const { callId, fromTag, cseq, uri } = request;
  return tableKey([...sender, callId, fromTag, cseq.number, formatUri(uri)]);
}

function mergeKey(request: SipRequest, source: Source): string {
  const { callId, fromTag, cseq } = request;
  return tableKey([source.peer, callId, fromTag, cseq.number, cseq.method]);
}
