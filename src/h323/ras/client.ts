/** RAS as an endpoint: one registration for each peer with a gatekeeper, and what its gatekeeper asks of us. */

import { sameBytes } from '../../bytes/equal.ts';
import type { Address } from '../../machine/address.ts';
import type { RasMessage } from '../asn1/h225-types.ts';
import type { Call } from '../call.ts';
import { bitRateOf } from '../capability.ts';
import type { H323Event } from '../contract.ts';
import type { Core } from '../core.ts';
import { endCall } from '../h225/release-complete.ts';
import type { H323Peer } from '../peer-contract.ts';
import type { Stack } from '../stack.ts';
import { askAdmission, askIncomingAdmission, disengage } from './admission.ts';
import { askBandwidth, bandwidthRequested } from './bandwidth.ts';
import type { Answer } from './exchange.ts';
import { Exchanges, sendRas } from './exchange.ts';
import { armReport, infoRequested } from './info-request.ts';
import { Registration } from './registration.ts';

export class RasClient {
  readonly exchanges: Exchanges;
  readonly #core: Core;
  readonly #stack: () => Stack;
  readonly #registrations = new Map<string, Registration>();

  constructor(core: Core, stack: () => Stack) {
    this.#core = core;
    this.#stack = stack;
    this.exchanges = new Exchanges(core);
  }

  registration(peer: H323Peer): Registration | undefined {
    return this.#registrations.get(peer.name);
  }

  /** After a `configure`: new registrations begin, those whose settings changed or went are given up. */
  configure(): void {
    const { peers } = this.#core;
    for (const [name, registration] of this.#registrations) {
      const peer = peers.get(name);
      const same =
        peer?.gatekeeper !== undefined &&
        JSON.stringify([peer.gatekeeper, peer.listener]) ===
          JSON.stringify([registration.access, registration.peer.listener]);
      if (same) continue;
      registration.stop();
      this.#registrations.delete(name);
    }
    for (const peer of peers.values()) {
      if (peer.gatekeeper === undefined || this.#registrations.has(peer.name)) continue;
      const registration = new Registration(this.#core, this.exchanges, peer, peer.gatekeeper);
      this.#registrations.set(peer.name, registration);
      registration.start();
    }
  }

  unregister(): void {
    for (const registration of this.#registrations.values()) registration.stop();
    this.#registrations.clear();
  }

  /** A call of ours needs its peer's gatekeeper's consent, and its address. */
  admit(call: Call): void {
    askAdmission(this.#stack(), call);
  }

  admitIncoming(call: Call, event: Extract<H323Event, { kind: 'incoming' }>, granted: () => void): void {
    askIncomingAdmission(this.#stack(), call, event, granted);
  }

  callConnected(call: Call): void {
    if (call.admission !== undefined) armReport(this.#stack(), call);
  }

  callEnded(call: Call, cause: number): void {
    if (call.admission !== undefined) disengage(this.#stack(), call, cause);
  }

  /** A channel was opened: more than was granted has to be asked for (H.323 8.4.1). */
  bandwidthChanged(call: Call): void {
    if (call.admission === undefined) return;
    let used = 0;
    for (const channel of call.control.send.values()) used += bitRateOf(channel.capability);
    for (const channel of call.control.receive.values()) used += bitRateOf(channel.capability);
    if (used > call.admission.bandwidth) askBandwidth(this.#stack(), call, used);
  }

  /** An answer to one of our requests. False: to none. */
  answered(remote: Address, bytes: Uint8Array, answer: Answer): boolean {
    return this.exchanges.answer(remote, bytes, answer);
  }

  /** A request of a gatekeeper we use. False: not from one. */
  requested(listener: string, remote: Address, bytes: Uint8Array, message: Answer): boolean {
    const registration = [...this.#registrations.values()].find(
      (r) => r.gatekeeper?.ip === remote.ip && r.listener?.name === listener,
    );
    if (registration === undefined) return false;
    switch (message.choice) {
      case 'unregistrationRequest':
      case 'disengageRequest':
      case 'bandwidthRequest':
      case 'infoRequest':
        break;
      default:
        return false;
    }
    if (!registration.proven(bytes, message)) return true; // an impostor gets no answer
    const stack = this.#stack();
    const reply = (answer: RasMessage): void =>
      sendRas(this.#core, listener, remote, answer, registration.credentials());
    switch (message.choice) {
      case 'unregistrationRequest': {
        const { requestSeqNum, reason } = message.value;
        reply({ choice: 'unregistrationConfirm', value: { requestSeqNum } });
        registration.lost(reason?.choice ?? 'unregistered');
        break;
      }
      case 'disengageRequest': {
        const { requestSeqNum, callIdentifier, callReferenceValue } = message.value;
        const call = this.#callOf(registration, callIdentifier?.guid, callReferenceValue);
        reply({ choice: 'disengageConfirm', value: { requestSeqNum } });
        if (call === undefined) break;
        call.admission = undefined; // told by the gatekeeper itself: nothing to disengage
        endCall(stack, call, { by: 'gatekeeper', cause: 31, reason: 'forcedDrop', tell: true });
        break;
      }
      case 'bandwidthRequest': {
        const { callIdentifier, callReferenceValue } = message.value;
        const call = this.#callOf(registration, callIdentifier?.guid, callReferenceValue);
        reply(bandwidthRequested(call, message.value));
        break;
      }
      case 'infoRequest':
        infoRequested(stack, registration, message.value, remote);
        break;
    }
    return true;
  }

  #callOf(registration: Registration, guid: Uint8Array | undefined, reference: number): Call | undefined {
    for (const call of this.#stack().calls.all()) {
      if (call.admission === undefined || call.peer.name !== registration.peer.name) continue;
      if (guid === undefined ? call.callReference === reference : sameBytes(guid, call.callIdentifier))
        return call;
    }
    return undefined;
  }
}
