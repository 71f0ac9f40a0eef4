/**
 * Our registrations with peers (trunks) that want one (RFC 3261 10.2): made at the start, refreshed before they expire, made anew
 * when the connection they went over is lost, taken back at the end. Fail-over to the peer's other servers is ClientRequest's (RFC 3263).
 */
import type { Alarm } from '../machine/alarm.ts';
import type { Millis } from '../machine/machine.ts';
import { buildRequest, contactFor, wholeSeconds } from './build.ts';
import type { SipPeer, SipRegistration } from './contract.ts';
import type { Hop } from './core.ts';
import { firstHeader, nameAddresses } from './header/access.ts';
import { formatNameAddress } from './header/name-address.ts';
import { parseRetryAfter } from './header/retry-after.ts';
import { canonicalIp } from './host.ts';
import type { SipResponse, SipUri } from './message.ts';
import { type Attempt, ClientRequest } from './request.ts';
import { queryOfPeer } from './resolve.ts';
import type { Stack } from './stack.ts';
import { formatUri, sipUri } from './uri.ts';

/** After a failure: doubled with each further one, up to the most (RFC 5626 4.5). Milliseconds. */
const RETRY = { first: 30_000, most: 1_800_000 } as const;
/** A lost connection: not at once, for all trunks of a server that restarts would come together. Milliseconds. */
const LOST_DELAY = { least: 500, most: 3000 } as const;
/** Times a server may ask for a longer interval (423) before that counts as a failure. */
const MOST_INTERVALS = 2;
const LONGEST_SECONDS = 86_400;
const SHORTEST_SECONDS = 10;

interface Trunk {
  readonly peer: SipPeer;
  readonly registration: SipRegistration;
  readonly callId: string;
  readonly tag: string;
  sequence: number;
  /** What we ask for; longer after a 423. */
  seconds: number;
  intervals: number;
  failures: number;
  request: ClientRequest | undefined;
  /** Next REGISTER: refresh or retry. */
  readonly next: Alarm;
  /** The binding we have ends. */
  readonly expiry: Alarm;
  registered: boolean;
  /** No more: the binding is being taken back. */
  leaving: boolean;
  unwatch: (() => void) | undefined;
}

export class Registrations {
  readonly #stack: Stack;
  readonly #trunks = new Map<string, Trunk>();
  /** Taken out of the configuration, or all of them at the end: waiting for the answer to their last REGISTER. */
  readonly #leaving = new Set<Trunk>();
  #over = false;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** Bindings that are being taken back. */
  get leaving(): number {
    return this.#leaving.size;
  }

  /** Takes over the peers in force; registrations that stay as they are go on undisturbed. */
  configure(): void {
    const { core } = this.#stack;
    for (const trunk of [...this.#trunks.values()]) {
      const peer = core.peers.get(trunk.peer.name);
      if (peer === undefined || !same(peer, trunk.peer)) this.#leave(trunk);
    }
    if (this.#over) return;
    for (const peer of core.peers.values()) {
      if (peer.registration !== undefined && !this.#trunks.has(peer.name)) this.#add(peer, peer.registration);
    }
  }

  /** Takes every binding back (RFC 3261 10.2.2); none is made again. */
  unregister(): void {
    this.#over = true;
    for (const trunk of [...this.#trunks.values()]) this.#leave(trunk);
  }

  #add(peer: SipPeer, registration: SipRegistration): void {
    const { core } = this.#stack;
    const trunk: Trunk = {
      peer,
      registration,
      callId: core.token(16), // 10.2: the same for all of one client
      tag: core.token(8),
      sequence: 0,
      seconds: registration.expiresSeconds,
      intervals: 0,
      failures: 0,
      request: undefined,
      next: core.alarm(() => this.#register(trunk)),
      expiry: core.alarm(() => this.#expired(trunk)),
      registered: false,
      leaving: false,
      unwatch: undefined,
    };
    this.#trunks.set(peer.name, trunk);
    trunk.next.set(core.now + core.between(0, 500));
  }

  #leave(trunk: Trunk): void {
    this.#trunks.delete(trunk.peer.name);
    const asked = trunk.request !== undefined;
    trunk.request?.abandon();
    trunk.request = undefined;
    this.#quiet(trunk);
    if (!trunk.registered && !asked) return; // nothing to take back
    trunk.leaving = true;
    this.#leaving.add(trunk);
    this.#register(trunk);
  }

  #quiet(trunk: Trunk): void {
    trunk.next.set(undefined);
    trunk.expiry.set(undefined);
    trunk.unwatch?.();
    trunk.unwatch = undefined;
  }

  #register(trunk: Trunk): void {
    const { peer, registration } = trunk;
    if (trunk.request !== undefined) return;
    const domain = sipUri('', registration.domain ?? peer.host);
    const aor = formatNameAddress({ uri: sipUri(registration.user, domain.host) });
    const uri = formatUri(domain);
    const expires = trunk.leaving ? 0 : trunk.seconds;
    let hop: Hop | undefined;
    const build = (attempt: Attempt) => {
      hop = attempt.hop;
      return buildRequest({
        method: 'REGISTER',
        uri,
        ...attempt,
        from: `${aor};tag=${trunk.tag}`,
        to: aor,
        callId: trunk.callId,
        headers: [
          ['Contact', contactFor(attempt.hop.listener, registration.user)],
          ['Expires', String(expires)],
          ...attempt.authorization,
        ],
      });
    };
    const request = new ClientRequest(this.#stack, {
      method: 'REGISTER',
      peer,
      to: queryOfPeer(peer),
      uri,
      nextSequence: () => ++trunk.sequence,
      build,
      response: (response) => {
        if (response.status >= 200) this.#answered(trunk, request, response, hop);
      },
      failed: (why) => {
        if (this.#current(trunk, request)) this.#failed(trunk, why, 0);
      },
    });
    trunk.request = request;
    request.start();
  }

  /** Whether this request is the one that is waited for; it is no more. */
  #current(trunk: Trunk, request: ClientRequest): boolean {
    if (trunk.request !== request) return false;
    trunk.request = undefined;
    if (!trunk.leaving) return true;
    // Whatever the answer: a binding that could not be taken back expires.
    this.#leaving.delete(trunk);
    if (trunk.registered) this.#tell(trunk, false, 'unregistered', 0);
    return false;
  }

  #answered(trunk: Trunk, request: ClientRequest, response: SipResponse, hop: Hop | undefined): void {
    if (!this.#current(trunk, request)) return;
    const { status } = response;
    if (status === 423) return this.#tooBrief(trunk, response);
    const granted = status < 300 && hop !== undefined ? grantedSeconds(response, trunk, hop) : 0;
    if (granted > 0 && hop !== undefined) return this.#bound(trunk, request, granted, hop);
    const wait = parseRetryAfter(firstHeader(response, 'Retry-After') ?? '');
    this.#failed(trunk, status < 300 ? 'not bound' : `status ${status}`, status, wait);
  }

  #bound(trunk: Trunk, request: ClientRequest, seconds: number, hop: Hop): void {
    const { core, transport } = this.#stack;
    trunk.failures = 0;
    trunk.intervals = 0;
    // With time for a request that times out and one more (64*T1 each), where the interval has it.
    const early = Math.min(seconds / 2, 75);
    const jitter = core.between(0, Math.floor(seconds * 50));
    trunk.next.set(core.now + (seconds - early) * 1000 - jitter);
    trunk.expiry.set(core.now + seconds * 1000);
    trunk.unwatch?.();
    // RFC 5626: over a connection the trunk calls us, and it is the trunk's only way where we are behind NAT.
    const used = request.transaction?.hop ?? hop;
    trunk.unwatch = transport.watch(used, () => this.#lost(trunk));
    this.#tell(trunk, true, 'registered', seconds);
  }

  /** RFC 3261 10.2.8. */
  #tooBrief(trunk: Trunk, response: SipResponse): void {
    const least = Number(/^\d{1,10}$/.exec(firstHeader(response, 'Min-Expires')?.trim() ?? '')?.[0] ?? 0);
    if (++trunk.intervals > MOST_INTERVALS || least <= trunk.seconds || least > LONGEST_SECONDS) {
      return this.#failed(trunk, 'status 423', 423);
    }
    trunk.seconds = least;
    this.#register(trunk);
  }

  #failed(trunk: Trunk, reason: string, status: number, retryAfterSeconds?: number): void {
    const { core } = this.#stack;
    const base = Math.min(RETRY.first * 2 ** Math.min(trunk.failures, 10), RETRY.most);
    trunk.failures++;
    const asked = wholeSeconds(retryAfterSeconds ?? 0) * 1000;
    // RFC 5626 4.5: between half and all of it.
    const wait = Math.max(Math.min(asked, RETRY.most), core.between(base / 2, base));
    trunk.next.set(core.now + wait);
    // The binding we have stands until it expires; told all the same, with how it is.
    core.event({ kind: 'registration', peer: trunk.peer.name, registered: trunk.registered, reason, status });
  }

  #expired(trunk: Trunk): void {
    this.#tell(trunk, false, 'expired', 0);
  }

  #lost(trunk: Trunk): void {
    const { core } = this.#stack;
    trunk.unwatch = undefined;
    if (trunk.request === undefined)
      trunk.next.set(core.now + core.between(LOST_DELAY.least, LOST_DELAY.most));
  }

  #tell(trunk: Trunk, registered: boolean, reason: string, seconds: number): void {
    trunk.registered = registered;
    this.#stack.core.event({
      kind: 'registration',
      peer: trunk.peer.name,
      registered,
      reason,
      status: registered ? 200 : 0,
      ...(registered ? { untilMs: this.#stack.core.now + seconds * 1000 } : {}),
    });
  }
}

/** RFC 3261 10.2.4: what our contact got, else the general Expires, else what we asked for. 0: it is not bound. */
function grantedSeconds(response: SipResponse, trunk: Trunk, hop: Hop): Millis {
  const contacts = nameAddresses(response, 'Contact', 64) ?? [];
  const ours = contacts.find(({ uri }) => isOurs(uri, trunk.registration.user, hop));
  // Some name no contact, or write ours otherwise than we did: a list that has only others' is believed to lack it.
  if (ours === undefined && contacts.length > 1) return 0;
  const contact = ours ?? contacts[0];
  const stated = contact?.parameters.get('expires') ?? firstHeader(response, 'Expires')?.trim();
  const seconds = stated !== undefined && /^\d{1,10}$/.test(stated) ? Number(stated) : trunk.seconds;
  if (seconds === 0) return 0;
  return Math.min(Math.max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS);
}

function isOurs(uri: SipUri, user: string, hop: Hop): boolean {
  const { ip, port } = hop.listener.advertise;
  if (uri.scheme === 'tel' || uri.user !== user) return false;
  return canonicalIp(uri.host) === canonicalIp(ip) && (uri.port ?? 5060) === port;
}

function same(a: SipPeer, b: SipPeer): boolean {
  const of = ({ host, port, transport, listener, credentials, registration }: SipPeer): string =>
    JSON.stringify([host, port, transport, listener, credentials, registration]);
  return of(a) === of(b);
}
