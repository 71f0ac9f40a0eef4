/**
 * Connection control as pure policy. One `TunnelSession` per pair of gateways (site, on GW2). It outlives its
 * signalling connections; payloads (opaque: Meta messages, encoded) are numbered, acknowledged and replayed, so each is delivered
 * exactly once and in order while the session lives. Media lanes prove that they belong with `laneKey` (lane-hello.ts).
 */
import type { Timeout } from '../machine/machine.ts';

export type TunnelConnectionRef = number;

export type TunnelInput =
  | Timeout
  /** GW1: the TLS connection asked for by `dial` is up. GW2: a connection of this site (name from its certificate) was accepted. */
  | {
      readonly kind: 'connected';
      readonly connection: TunnelConnectionRef /** TLS exporter (RFC 8446 7.5), 32 octets */;
      readonly exporter: Uint8Array;
    }
  | { readonly kind: 'data'; readonly connection: TunnelConnectionRef; readonly bytes: Uint8Array }
  | { readonly kind: 'closed'; readonly connection: TunnelConnectionRef; readonly reason: string }
  /** From above. Dropped with `undelivered` where the session is down for good or 4096 payloads wait. */
  | { readonly kind: 'send'; readonly payload: Uint8Array; readonly mayWait?: boolean }
  /** Answer to `fence-wanted`: the calls as known here, encoded by meta/fence.ts. */
  | { readonly kind: 'fence'; readonly body: Uint8Array }
  /** Planned change: dial a new connection, move over, close the old one. GW2: asks GW1 to do so. */
  | { readonly kind: 'renew' }
  /** Orderly end: tell the far end, take no new work, close when `stop`. */
  | { readonly kind: 'drain' }
  | { readonly kind: 'stop' };

export type TunnelOutput =
  /** GW1: open a signalling connection. Answered by `connected` or `closed`. */
  | { readonly kind: 'dial'; readonly connection: TunnelConnectionRef }
  /** `mayWait`: nobody waits for it; it may leave some milliseconds later, with what follows. Order is kept. */
  | {
      readonly kind: 'send';
      readonly connection: TunnelConnectionRef;
      readonly bytes: Uint8Array;
      readonly mayWait?: boolean;
    }
  | { readonly kind: 'close'; readonly connection: TunnelConnectionRef; readonly reason: string }
  | { readonly kind: 'event'; readonly event: TunnelEvent };

export type TunnelEvent =
  /** A (new) session: all calls of an earlier one are gone at the far end. `laneKey` 32 octets for media lanes. */
  | {
      readonly kind: 'session';
      readonly session: string;
      readonly laneKey: Uint8Array;
      readonly shards: number;
      readonly metaMinor: number;
    }
  /** Signalling usable (again). After a cut: payloads are replayed, then a fence exchange follows (see `fence`). */
  | { readonly kind: 'up'; readonly resumed: boolean }
  | { readonly kind: 'down'; readonly reason: string }
  /** Dialer: a connection that never came into use, because of what the network, TLS or the far end said. Another is dialled. */
  | { readonly kind: 'dial-failed'; readonly reason: string }
  /** The session could not be resumed within `resumeWithinMs` (30 s): release everything. */
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'payload'; readonly payload: Uint8Array }
  /**
   * Asks for the local call list; answer with input `fence` (synchronously, before the next poll) and remember which
   * calls were listed. The acceptor is asked twice per resume (the first answer only marks a position in the stream).
   */
  | { readonly kind: 'fence-wanted' }
  /**
   * The far end's call list, taken after it had received everything sent before our last answer to `fence-wanted`, and
   * delivered after everything it had sent before. So: a call in it that is unknown here is over (tell the far end); a call
   * that our last answer listed and that is not in it is over; calls begun since that answer are not compared.
   */
  | { readonly kind: 'fence'; readonly body: Uint8Array }
  /** `count` payloads from above will never arrive: no session, buffer full (4096 payloads / 4 MB), too large, session lost. */
  | {
      readonly kind: 'undelivered';
      readonly count: number;
      readonly reason: 'no-session' | 'buffer-full' | 'too-large' | 'lost' | 'stopped';
    }
  | { readonly kind: 'peer-draining' }
  /** Another authenticated connection of the same site tried to take over and failed, or claims alternate. */
  | { readonly kind: 'alarm'; readonly reason: string }
  | { readonly kind: 'round-trip'; readonly ms: number };

export interface TunnelOptions {
  readonly role: 'dialer' | 'acceptor';
  /** Name of the local gateway and what the far end's certificate must say (checked in net/; here for frames and logs). */
  readonly name: string;
  readonly peerName: string;
  /** Wall-clock milliseconds at process start and 8 random octets: tells restarts apart. */
  readonly bootId: { readonly startedAt: number; readonly nonce: string /* 16 hex digits */ };
  readonly shards: number;
  /** Minor versions of the Meta protocol spoken here; default 0..0. The highest common one is negotiated. */
  readonly metaMinor?: { readonly min: number; readonly max: number };
  readonly heartbeatEveryMs: number; // default 1000
  readonly deadAfterMs: number; // default 3000
  readonly resumeWithinMs: number; // default 30000
  readonly backoff: { readonly firstMs: number; readonly maxMs: number }; // 200, 10000; full jitter
  readonly maxPayload: number; // 8192
}
