/** OPTIONS probes of configured peers (RFC 3261 11): up with the first answer, down after two without. */
import type { Alarm } from '../machine/alarm.ts';
import type { Millis } from '../machine/machine.ts';
import { ACCEPT, buildRequest } from './build.ts';
import type { SipPeer } from './contract.ts';
import { formatNameAddress } from './header/name-address.ts';
import { ClientRequest } from './request.ts';
import { queryOfPeer } from './resolve.ts';
import type { Stack } from './stack.ts';
import { formatUri, sipUri } from './uri.ts';

/** No answer within this time is a failure. Milliseconds. */
const ANSWER_LIMIT: Millis = 5_000;
const FAILURES_TO_DOWN = 2;

interface Probed {
  readonly peer: SipPeer;
  readonly next: Alarm;
  readonly overdue: Alarm;
  request: ClientRequest | undefined;
  failures: number;
  up: boolean | undefined;
}

export class Prober {
  readonly #stack: Stack;
  readonly #probed = new Map<string, Probed>();

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** Takes over the peers in force; what is known about those that stay is kept. */
  configure(): void {
    const { core } = this.#stack;
    for (const [name, probed] of this.#probed) {
      const peer = core.peers.get(name);
      if (peer !== undefined && same(peer, probed.peer)) continue;
      this.#probed.delete(name);
      probed.next.set(undefined);
      probed.overdue.set(undefined);
      probed.request?.abandon();
      if (probed.up !== undefined) core.event({ kind: 'peer-unprobed', peer: name });
    }
    for (const peer of core.peers.values()) {
      if (peer.probeEveryMs > 0 && !this.#probed.has(peer.name)) this.#add(peer);
    }
  }

  #add(peer: SipPeer): void {
    const { core } = this.#stack;
    const probed: Probed = {
      peer,
      next: core.alarm(() => this.#send(probed)),
      overdue: core.alarm(() => this.#result(probed, 'no answer')),
      request: undefined,
      failures: 0,
      up: undefined,
    };
    this.#probed.set(peer.name, probed);
    // Not all peers at once after a start.
    probed.next.set(core.now + core.between(0, Math.min(1000, peer.probeEveryMs)));
  }

  #send(probed: Probed): void {
    const { core } = this.#stack;
    const { peer } = probed;
    const { transport } = peer;
    const parameters = new Map(
      transport === undefined || transport === 'udp' ? [] : [['transport', transport]],
    );
    const uri = sipUri('', peer.host, peer.port, parameters);
    const callId = core.token(16);
    const tag = core.token(8);
    let sequence = 0;
    probed.overdue.set(core.now + ANSWER_LIMIT);
    probed.request = new ClientRequest(this.#stack, {
      method: 'OPTIONS',
      peer,
      to: queryOfPeer(peer),
      uri: formatUri(uri),
      nextSequence: () => ++sequence,
      build: (attempt) =>
        buildRequest({
          method: 'OPTIONS',
          uri: formatUri(uri),
          ...attempt,
          from: `${formatNameAddress({ uri: sipUri('', attempt.hop.listener.advertise.ip) })};tag=${tag}`,
          to: formatNameAddress({ uri }),
          callId,
          headers: [['Accept', ACCEPT], ...attempt.authorization],
        }),
      response: ({ status }) => {
        if (status < 200) return;
        // Any word is a sign of life, but those that say there is none behind it.
        this.#result(probed, status === 408 || status === 503 ? `status ${status}` : undefined);
      },
      failed: (why) => this.#result(probed, why),
    });
    probed.request.start();
  }

  #result(probed: Probed, failure: string | undefined): void {
    const { core } = this.#stack;
    const { peer, request } = probed;
    if (this.#probed.get(peer.name) !== probed || request === undefined) return;
    probed.request = undefined;
    probed.overdue.set(undefined);
    request.abandon();
    const jitter = core.between(0, Math.ceil(peer.probeEveryMs / 10));
    probed.next.set(core.now + peer.probeEveryMs + jitter);
    if (failure === undefined) {
      probed.failures = 0;
      if (probed.up !== true) core.event({ kind: 'peer-up', peer: peer.name });
      probed.up = true;
    } else if (++probed.failures >= FAILURES_TO_DOWN) {
      if (probed.up !== false) core.event({ kind: 'peer-down', peer: peer.name, reason: failure });
      probed.up = false;
    }
  }
}

function same(a: SipPeer, b: SipPeer): boolean {
  const { credentials: x, ...rest } = a;
  const { credentials: y, ...other } = b;
  return JSON.stringify([rest, x]) === JSON.stringify([other, y]);
}
