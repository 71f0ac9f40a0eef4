/**
 * How a media lane proves that it belongs to a tunnel session: both ends show that they hold the session's lane key on this
 * very TLS connection (an HMAC over its exporter value, RFC 8446 7.5), so nobody can attach or relay one.
 *
 *   hello, hello-ack:  version u8 | shard u8 | lane u8 | session length u8 | session | proof 32 octets
 *   proof = HMAC-SHA256(lane key, label | exporter | everything before the proof)
 */
import { Reader } from '../bytes/reader.ts';
import { latin1Bytes, latin1Text } from '../bytes/text.ts';
import { Writer } from '../bytes/writer.ts';
import { type Crypto, fail, ok, type Result } from '../machine/machine.ts';

export const LANE_VERSION = 1;
/** Label and length of the TLS exporter both ends ask their connection for. */
export const LANE_EXPORTER_LABEL = 'EXPORTER-voip-sgw-lane';
export const LANE_EXPORTER_LENGTH = 32;
const PROOF_LENGTH = 32;
const MAX_SESSION = 64;

export type HelloRole = 'dialer' | 'acceptor';

export interface LaneHello {
  /** The shard wanted (hello) or that of the worker that answers (hello-ack), 0..255. */
  readonly shard: number;
  /** 0..255, chosen by the dialer. */
  readonly lane: number;
  /** 1..64 printable ASCII characters. */
  readonly session: string;
}

export interface ReceivedHello extends LaneHello {
  readonly covered: Uint8Array;
  readonly proof: Uint8Array;
}

/** Body of the hello (dialer) or hello-ack (acceptor). `exporter`: 32 octets of this connection. */
export function writeHello(
  role: HelloRole,
  hello: LaneHello,
  key: Uint8Array,
  exporter: Uint8Array,
  crypto: Crypto,
): Uint8Array {
  const w = new Writer(128);
  w.u8(LANE_VERSION);
  w.u8(hello.shard);
  w.u8(hello.lane);
  const session = latin1Bytes(hello.session.slice(0, MAX_SESSION));
  w.u8(session.length);
  w.raw(session);
  w.raw(proof(role, w.bytes(), key, exporter, crypto));
  return w.bytes();
}

/** Reads a body without believing it: the session it names tells which key `helloProven` needs. */
export function readHello(body: Uint8Array): Result<ReceivedHello, string> {
  const r = new Reader(body);
  const version = r.u8();
  const [shard, lane, length] = [r.u8(), r.u8(), r.u8()];
  const session = latin1Text(r.raw(length));
  const covered = body.slice(0, r.offset);
  const received = r.raw(PROOF_LENGTH).slice();
  if (r.failed || r.remaining !== 0) return fail('lane hello is malformed');
  if (version !== LANE_VERSION) return fail(`lane version ${version} is not known`);
  if (!/^[\x21-\x7e]{1,64}$/.test(session)) return fail('lane hello names no session');
  return ok({ shard, lane, session, covered, proof: received });
}

/** Whether the far end, in `role`, holds the key on this connection. Constant time. */
export function helloProven(
  role: HelloRole,
  hello: ReceivedHello,
  key: Uint8Array,
  exporter: Uint8Array,
  crypto: Crypto,
): boolean {
  return (
    exporter.length === LANE_EXPORTER_LENGTH &&
    crypto.equal(hello.proof, proof(role, hello.covered, key, exporter, crypto))
  );
}

function proof(
  role: HelloRole,
  covered: Uint8Array,
  key: Uint8Array,
  exporter: Uint8Array,
  crypto: Crypto,
): Uint8Array {
  const w = new Writer(160);
  // The role in the label: an answer can never be a hello sent back.
  w.raw(latin1Bytes(`voip-sgw lane ${role}`));
  w.raw(exporter);
  w.raw(covered);
  return crypto.hmac('sha256', key, w.bytes());
}
