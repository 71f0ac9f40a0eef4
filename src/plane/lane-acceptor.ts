import type { Socket } from 'node:net';
import type { PlaneEvent, SessionId } from '../media/plane-contract.ts';
import { systemCrypto } from '../net/providers.ts';
import type { TlsIdentity } from '../net/tls.ts';
import { helloProven, type ReceivedHello, readHello, writeHello } from '../tunnel/lane-hello.ts';
import { FRAME_HELLO, FRAME_HELLO_ACK, type LaneCloseReason } from '../tunnel/media-frame.ts';
import { Lane } from './lane.ts';
import type { LaneEnvironment, LaneGroup } from './lane-group.ts';
import type { Connecting, LaneWire } from './lane-wire.ts';

const HELLO_TIMEOUT_MS = 3000;
/** Connections that have not proven themselves yet: in all, and of one source. */
const MAX_PENDING = 128;
const MAX_PENDING_OF_SOURCE = 16;
/** Octets per second read from a connection that has not proven itself: one hello, generously. */
const UNPROVEN_INTAKE = 4096;
/** Refusals told to main per second; a flood of connections is not made a flood of messages. */
const REFUSALS_PER_SECOND = 10;

interface Pending {
  connection: Connecting | undefined;
  lane: Lane | undefined;
}

/** GW2's side of the lanes: raw sockets from main become TLS, prove themselves and join a session's group. */
export class LaneAcceptor {
  readonly #environment: LaneEnvironment;
  readonly #group: (session: SessionId) => LaneGroup | undefined;
  /** Connections that have not proven themselves, and where they come from. */
  readonly #pending = new Map<Pending, string>();
  readonly #lanes = new Set<Lane>();
  #refusalsAt = 0;
  #refusals = 0;

  constructor(environment: LaneEnvironment, group: (session: SessionId) => LaneGroup | undefined) {
    this.#environment = environment;
    this.#group = group;
  }

  /** A connection accepted by main with `pauseOnConnect`: nothing of it has been read. */
  accept(socket: Socket): void {
    const source = socket.remoteAddress ?? '?';
    let ofSource = 0;
    for (const other of this.#pending.values()) if (other === source) ofSource++;
    if (this.#pending.size >= MAX_PENDING || ofSource >= MAX_PENDING_OF_SOURCE) {
      this.#refused(source, 'too many unproven connections');
      socket.on('error', ignore);
      socket.destroy();
      return;
    }
    const pending: Pending = { connection: undefined, lane: undefined };
    this.#pending.set(pending, source);
    pending.connection = this.#environment.wires.accept(socket, {
      secure: (wire) => this.#secure(wire, pending),
      closed: (reason) => {
        // A lane tells its own end.
        if (this.#pending.delete(pending) && pending.lane === undefined && reason !== undefined)
          this.#refused(source, reason);
      },
    });
  }

  update(identity: TlsIdentity): void {
    this.#environment.wires.identify(identity);
  }

  /** Unproven lanes time out by themselves; proven ones are kept by their group. */
  stop(): void {
    for (const { connection, lane } of this.#pending.keys()) if (lane === undefined) connection?.destroy();
    for (const lane of this.#lanes) lane.close('stopping');
  }

  #secure(wire: LaneWire, pending: Pending): void {
    const environment = this.#environment;
    let group: LaneGroup | undefined;
    const timer = setTimeout(() => this.#refuse(lane, 'hello-timeout'), HELLO_TIMEOUT_MS);
    const lane: Lane = new Lane(wire, {
      pool: environment.pool,
      tcp: environment.tcp,
      quality: () => group?.quality,
      intake: () => group?.intake() ?? UNPROVEN_INTAKE,
      now: () => environment.now(),
      media: (l, frame, now) => group?.media(l, frame, now),
      dirty: () => group?.dirty(),
      hello: (_lane, type, body) => {
        clearTimeout(timer);
        group = this.#hello(lane, wire, type, body);
        if (group !== undefined) this.#pending.delete(pending);
      },
      ended: (l, reason) => {
        clearTimeout(timer);
        this.#lanes.delete(l);
        group?.ended(l, reason);
      },
    });
    pending.lane = lane;
    this.#lanes.add(lane);
  }

  #hello(lane: Lane, wire: LaneWire, type: number, body: Uint8Array): LaneGroup | undefined {
    const read = readHello(body);
    if (type !== FRAME_HELLO || !read.ok) {
      this.#refuse(lane, 'hello-refused', read.ok ? 'not a hello' : read.error);
      return undefined;
    }
    const hello = read.value;
    const group = this.#group(hello.session);
    if (group === undefined) {
      this.#refuse(lane, 'session-unknown');
      return undefined;
    }
    // The certificate must be that of the very site the session belongs to: another site's is not enough.
    if (!wire.peerNames.includes(group.peerName)) {
      this.#refuse(lane, 'hello-refused', `certificate is not of ${group.peerName}`);
      return undefined;
    }
    if (!helloProven('dialer', hello, group.key, wire.exporter, systemCrypto)) {
      this.#refuse(lane, 'hello-refused', 'no proof of the session key');
      return undefined;
    }
    return this.#join(lane, group, hello, wire.exporter);
  }

  #join(lane: Lane, group: LaneGroup, hello: ReceivedHello, exporter: Uint8Array): LaneGroup | undefined {
    const shard = this.#environment.shard;
    const answer = { shard, lane: hello.lane, session: hello.session };
    lane.sendHello(FRAME_HELLO_ACK, writeHello('acceptor', answer, group.key, exporter, systemCrypto));
    if (hello.shard !== shard) {
      // No refusal to speak of: the answer told the dialer our shard, and it comes again.
      lane.close('wrong-shard');
      return undefined;
    }
    if (group.attach(lane, hello.lane)) return group;
    this.#refuse(lane, 'too-many-lanes');
    return undefined;
  }

  #refuse(lane: Lane, reason: LaneCloseReason, detail: string = reason): void {
    this.#refused(lane.remote, detail);
    lane.close(reason);
  }

  #refused(remote: string | undefined, reason: string): void {
    const now = this.#environment.now();
    if (now - this.#refusalsAt > 1000) {
      this.#refusalsAt = now;
      this.#refusals = 0;
    }
    if (++this.#refusals > REFUSALS_PER_SECOND) return;
    const event: PlaneEvent = { kind: 'lane-refused', remote: remote ?? '?', reason };
    this.#environment.emit(event);
  }
}

function ignore(): void {}
