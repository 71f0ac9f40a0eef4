/**
 * How H.245 travels (H.323 8.2.1, 8.2.3): tunnelled in call signalling where both sides will, else over a connection of its own,
 * from whoever was told an address to whoever told it. When it begins: with Connect, earlier where the peer is configured so
 * or begins by itself.
 */
import { parseIp } from '../../bytes/ip.ts';
import type { Address } from '../../machine/address.ts';
import { fromH225 } from '../addresses.ts';
import type { TransportAddress } from '../asn1/h225-types.ts';
import type { Call } from '../call.ts';
import type { Connection, ConnectionUser, Opened } from '../connections.ts';
import type { ListenRef } from '../contract.ts';
import { addressToTell, sendFacility } from '../h225/message.ts';
import { CONTROL_CONNECT_LIMIT, CONTROL_LIMIT, CONTROL_YIELD } from '../limits.ts';
import type { Stack } from '../stack.ts';
import { controlReceived, startControl } from './control.ts';
import { controlFailed } from './due.ts';
import { controlUp } from './state.ts';

/** Tunnelled messages in one call signalling message that are looked at. */
const MOST_TUNNELLED = 32;

/** The far end tunnels too. */
export function tunnelAgreed(stack: Stack, call: Call): void {
  call.tunnelling = 'on';
  if (call.state === 'connected') beginControl(stack, call);
}

/** The far end does not (or no longer) tunnel: H.245 needs its own connection. */
export function tunnelRefused(stack: Stack, call: Call): void {
  const was = call.control.transport;
  call.tunnelling = 'off';
  call.control.outbox = [];
  if (was === 'tunnel') {
    // H.323 8.2.1 lets a side stop tunnelling; what stood in the tunnel cannot be carried over.
    stack.core.count('tunnelling-withdrawn', call.remote);
    return controlFailed(stack, call);
  }
  if (call.state === 'connected') beginControl(stack, call);
}

/** Before Connect: only where the peer wants early H.245, or has begun. */
export function beginEarly(stack: Stack, call: Call): void {
  // H.323 8.1.7.2: beginning H.245 before FastStart is answered would be giving it up.
  if (call.fastStart === 'open') return;
  if (call.peer.earlyH245 && call.state !== 'ended') beginControl(stack, call);
}

export function beginControl(stack: Stack, call: Call): void {
  const { control } = call;
  if (controlUp(control)) {
    if (call.state === 'connected' && !control.ready) control.alarm.set(stack.core.now + CONTROL_LIMIT);
    return;
  }
  if (call.tunnelling === 'offered') {
    // Connected, and the far end has never said a word about it: H.225.0 v1. No tunnel.
    if (call.state !== 'connected') return;
    call.tunnelling = 'off';
  }
  if (call.tunnelling === 'on') {
    if (control.transport !== 'idle') return;
    control.transport = 'tunnel';
    return startControl(stack, call);
  }
  if (
    control.farAddress !== undefined &&
    (control.transport === 'idle' || control.transport === 'listening')
  ) {
    return dial(stack, call, control.farAddress);
  }
  if (control.transport === 'idle') {
    // A caller waits for the address in Connect or in an early message; where none came it tells its own.
    if (call.outgoing && call.state !== 'connected') return;
    listenForControl(stack, call);
  } else if (control.transport === 'listening') tellAddress(stack, call);
}

/** Asks for a port that the far end may come to. */
export function listenForControl(stack: Stack, call: Call): void {
  const { control, connection } = call;
  if (control.transport !== 'idle' || connection === undefined) return;
  const ref = stack.calls.nextListening();
  control.transport = 'listening';
  control.listening = { ref, address: undefined };
  stack.calls.listening.set(ref, call);
  stack.core.emit({ kind: 'listen', listening: ref, listener: connection.listener.name });
}

export function listening(stack: Stack, ref: ListenRef, local: Address): void {
  const call = stack.calls.listening.get(ref);
  if (call?.control.listening === undefined || call.connection === undefined) {
    return stack.core.emit({ kind: 'unlisten', listening: ref }); // the call ended meanwhile
  }
  const { advertise } = call.connection.listener;
  call.control.listening.address = { ip: advertise.ip, port: local.port };
  if (call.state === 'connected') tellAddress(stack, call);
}

export function listenFailed(stack: Stack, ref: ListenRef): void {
  const call = stack.calls.listening.get(ref);
  stack.calls.listening.delete(ref);
  if (call === undefined) return;
  call.control.listening = undefined;
  call.control.transport = 'idle';
  stack.core.count('h245-no-port', call.remote);
  // The far end may still tell us an address: the wait for H.245 goes on.
  if (call.state === 'connected') call.control.alarm.set(stack.core.now + CONTROL_CONNECT_LIMIT);
}

/** Connect went without our H.245 address, or we are the caller: Facility startH245 (H.323 8.2.3). */
function tellAddress(stack: Stack, call: Call): void {
  call.control.alarm.set(stack.core.now + CONTROL_CONNECT_LIMIT);
  const h245Address = addressToTell(call);
  if (h245Address !== undefined) sendFacility(stack, call, 'startH245', { h245Address });
}

/** The far end told where its H.245 waits. Only addresses the decisions permit are ever dialled. */
export function controlAddressTold(stack: Stack, call: Call, told: TransportAddress): void {
  const { core } = stack;
  const address = fromH225(told);
  if (address === undefined || !core.options.decisions.acceptH245Address(call.peer.name, address)) {
    return core.count('h245-address', call.remote);
  }
  if (call.tunnelling === 'on' || controlUp(call.control) || call.control.transport === 'ended') return;
  call.control.farAddress = address;
  if (call.state === 'connected') beginControl(stack, call);
}

/**
 * H.323 8.2.4: where both sides told an address, the connection made by the one with the numerically greater stands; the other
 * waits for it, and dials itself only where nobody comes.
 */
function mustWait(stack: Stack, call: Call, address: Address): boolean {
  const { control } = call;
  const own = control.addressTold ? control.listening?.address : undefined;
  if (own === undefined || control.waited || !smaller(own, address)) return false;
  control.waited = true;
  control.alarm.set(stack.core.now + CONTROL_YIELD);
  return true;
}

function smaller(a: Address, b: Address): boolean {
  const octets = (address: Address): number[] => [...(parseIp(address.ip) ?? [])];
  const [x, y] = [octets(a), octets(b)];
  if (x.length !== y.length) return x.length < y.length;
  const at = x.findIndex((octet, i) => octet !== y[i]);
  return at < 0 ? a.port < b.port : x[at]! < y[at]!;
}

/** Nobody came to our port in time: where the far end told one too, we go there. False: it did not. */
export function dialInstead(stack: Stack, call: Call): boolean {
  const { control } = call;
  if (control.transport !== 'listening' || control.farAddress === undefined) return false;
  control.waited = true;
  dial(stack, call, control.farAddress);
  return true;
}

function dial(stack: Stack, call: Call, address: Address): void {
  const { control, connection } = call;
  if (mustWait(stack, call, address)) return;
  const listener = connection && stack.core.listenerFor('tcp', address.ip, connection.listener.name);
  control.farAddress = undefined;
  const opened = listener && stack.connections.open('h245', listener, address, new ControlUser(stack, call));
  if (opened === undefined) return controlFailed(stack, call);
  stack.connections.hold(opened);
  stopListening(stack, call);
  control.transport = 'dialling';
  control.connection = opened;
}

function stopListening(stack: Stack, call: Call): void {
  const { listening } = call.control;
  if (listening === undefined) return;
  call.control.listening = undefined;
  stack.calls.listening.delete(listening.ref);
  stack.core.emit({ kind: 'unlisten', listening: listening.ref });
}

/** Somebody came to one of our H.245 ports. */
export function controlAccepted(
  stack: Stack,
  ref: ListenRef,
  input: Opened,
): ConnectionUser | { readonly refused: string } {
  const call = stack.calls.listening.get(ref);
  if (call === undefined || call.control.transport !== 'listening') return { refused: 'h245-late' };
  const { remote } = input;
  const known = remote.ip === call.remote.ip;
  if (!known && !stack.core.options.decisions.acceptH245Address(call.peer.name, remote)) {
    return { refused: 'h245-source' };
  }
  return new ControlUser(stack, call);
}

/** Takes what comes over a separate H.245 connection of one call. */
class ControlUser implements ConnectionUser {
  readonly #stack: Stack;
  readonly #call: Call;
  #faults = 0;

  constructor(stack: Stack, call: Call) {
    this.#stack = stack;
    this.#call = call;
  }

  opened(connection: Connection): void {
    const { control, state } = this.#call;
    if (state === 'ended') return;
    if (control.connection === undefined) {
      control.connection = connection;
      this.#stack.connections.hold(connection);
    }
    stopListening(this.#stack, this.#call);
    control.transport = 'separate';
    startControl(this.#stack, this.#call);
  }

  received(connection: Connection, payload: Uint8Array): void {
    if (this.#call.control.connection !== connection) return;
    if (!controlReceived(this.#stack, this.#call, payload) && ++this.#faults >= 5) {
      this.lost(connection);
      this.#stack.connections.close(connection, 'protocol');
    }
  }

  lost(connection: Connection): void {
    const { control, state } = this.#call;
    if (state === 'ended' || control.connection !== connection) return;
    control.connection = undefined;
    controlFailed(this.#stack, this.#call);
  }
}

/** H.245 in call signalling. The far end may begin whenever tunnelling is agreed on. */
export function tunnelReceived(stack: Stack, call: Call, messages: readonly Uint8Array[]): void {
  const { control } = call;
  if (call.tunnelling !== 'on') return stack.core.count('tunnelled-not-agreed', call.remote);
  if (control.transport === 'idle') {
    control.transport = 'tunnel';
    startControl(stack, call);
  }
  if (control.transport !== 'tunnel') return stack.core.count('tunnelled-not-agreed', call.remote);
  if (messages.length > MOST_TUNNELLED) stack.core.count('tunnelled-flood', call.remote);
  for (const bytes of messages.slice(0, MOST_TUNNELLED)) {
    controlReceived(stack, call, bytes);
    if (call.control.transport !== 'tunnel') return;
  }
}
