/**
 * The first frame in each direction: who speaks, which versions, and which session is to go on. Drawn in docs/tunnel.md.
 *
 *     hello      magic(4) version(1,1) meta-minor(1,1) shards(1) max-payload(4) boot(8+8) name(1+n) intent(1)
 *                [ session(16) last-received(8) proof(32) ]                           intent 1 (resume) or 2 (replace)
 *     hello-ack  version(1) meta-minor(1) shards(1) max-payload(4) boot(8+8) name(1+n) outcome(1) session(16)
 *                secret(32)                                                           outcome 0 (new)
 *                last-received(8) proof(32)                                           outcome 1 (resumed)
 */
import type { Reader } from '../bytes/reader.ts';
import { fromHex, latin1Bytes, latin1Text, toHex } from '../bytes/text.ts';
import type { Writer } from '../bytes/writer.ts';

export const FRAME_VERSION = 1;
export const HELLO_MAGIC = 0x56_53_47_57; // "VSGW"
export const SESSION_OCTETS = 16;
export const SECRET_OCTETS = 32;
export const PROOF_OCTETS = 32;

export interface BootId {
  readonly startedAt: number;
  readonly nonce: string;
}

export interface Identity {
  readonly maxPayload: number;
  readonly boot: BootId;
  readonly name: string;
}

export interface ResumeClaim {
  /** Hexadecimal text of 16 octets. */
  readonly session: string;
  readonly received: number;
  readonly proof: Uint8Array;
}

export interface Hello extends Identity {
  readonly versions: { readonly min: number; readonly max: number };
  readonly metaMinor: { readonly min: number; readonly max: number };
  readonly shards: number;
  /** `resume`: go on with it. `replace`: it is given up here, whose secret proves the right to a new one. */
  readonly intent: 'new' | 'resume' | 'replace';
  readonly claim?: ResumeClaim;
}

export interface HelloAck extends Identity {
  readonly version: number;
  readonly metaMinor: number;
  readonly shards: number;
  readonly session: string;
  readonly outcome:
    | { readonly kind: 'new'; readonly secret: Uint8Array }
    | { readonly kind: 'resumed'; readonly received: number; readonly proof: Uint8Array };
}

const INTENTS = ['new', 'resume', 'replace'] as const;

export function writeHello(writer: Writer, hello: Hello): void {
  writer.u32(HELLO_MAGIC);
  writer.u8(hello.versions.min);
  writer.u8(hello.versions.max);
  writer.u8(hello.metaMinor.min);
  writer.u8(hello.metaMinor.max);
  writer.u8(hello.shards);
  writeIdentity(writer, hello);
  writer.u8(INTENTS.indexOf(hello.intent));
  if (hello.claim === undefined) return;
  writer.raw(fromHex(hello.claim.session)!);
  writer.u64(hello.claim.received);
  writer.raw(hello.claim.proof);
}

/** Undefined where the octets are not exactly one hello. */
export function readHello(reader: Reader): Hello | undefined {
  if (reader.u32() !== HELLO_MAGIC) return undefined;
  const versions = { min: reader.u8(), max: reader.u8() };
  const metaMinor = { min: reader.u8(), max: reader.u8() };
  const shards = reader.u8();
  const identity = readIdentity(reader);
  const intent = INTENTS[reader.u8()];
  if (identity === undefined || intent === undefined || shards === 0) return undefined;
  if (versions.min > versions.max || metaMinor.min > metaMinor.max) return undefined;
  const hello = { ...identity, versions, metaMinor, shards, intent };
  if (intent === 'new') return finished(reader) ? hello : undefined;
  const claim = {
    session: toHex(reader.raw(SESSION_OCTETS)),
    received: reader.u64(),
    proof: reader.raw(PROOF_OCTETS).slice(),
  };
  return finished(reader) ? { ...hello, claim } : undefined;
}

export function writeHelloAck(writer: Writer, ack: HelloAck): void {
  writer.u8(ack.version);
  writer.u8(ack.metaMinor);
  writer.u8(ack.shards);
  writeIdentity(writer, ack);
  writer.u8(ack.outcome.kind === 'new' ? 0 : 1);
  writer.raw(fromHex(ack.session)!);
  if (ack.outcome.kind === 'new') {
    writer.raw(ack.outcome.secret);
  } else {
    writer.u64(ack.outcome.received);
    writer.raw(ack.outcome.proof);
  }
}

export function readHelloAck(reader: Reader): HelloAck | undefined {
  const version = reader.u8();
  const metaMinor = reader.u8();
  const shards = reader.u8();
  const identity = readIdentity(reader);
  const kind = reader.u8();
  const session = toHex(reader.raw(SESSION_OCTETS));
  if (identity === undefined || shards === 0 || kind > 1) return undefined;
  const outcome =
    kind === 0
      ? ({ kind: 'new', secret: reader.raw(SECRET_OCTETS).slice() } as const)
      : ({ kind: 'resumed', received: reader.u64(), proof: reader.raw(PROOF_OCTETS).slice() } as const);
  return finished(reader) ? { ...identity, version, metaMinor, shards, session, outcome } : undefined;
}

function writeIdentity(writer: Writer, identity: Identity): void {
  writer.u32(identity.maxPayload);
  writer.u64(identity.boot.startedAt);
  writer.raw(fromHex(identity.boot.nonce)!);
  writer.u8(identity.name.length);
  writer.raw(latin1Bytes(identity.name));
}

function readIdentity(reader: Reader): Identity | undefined {
  const maxPayload = reader.u32();
  const boot = { startedAt: reader.u64(), nonce: toHex(reader.raw(8)) };
  const name = latin1Text(reader.raw(reader.u8()));
  if (reader.failed || maxPayload === 0 || !validName(name)) return undefined;
  return { maxPayload, boot, name };
}

/** A gateway's name: 1 to 64 characters a-z 0-9 - . (compared exactly, never matched by pattern). */
export function validName(name: string): boolean {
  return /^[a-z0-9.-]{1,64}$/.test(name);
}

function finished(reader: Reader): boolean {
  return !reader.failed && reader.remaining === 0;
}
