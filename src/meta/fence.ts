/**
 * The list of calls both gateways exchange after a cut (docs/meta-protocol.md, "Fence"): count (2), then per call the
 * id (16), its state (1) and media generation (4), ascending by id, so that one list has one encoding.
 */
import { Reader } from '../bytes/reader.ts';
import { fromHex, toHex } from '../bytes/text.ts';
import { Writer } from '../bytes/writer.ts';
import type { Result } from '../machine/machine.ts';
import { fail, ok } from '../machine/machine.ts';
import { isCallId } from './check.ts';
import { CALL_STATES } from './fields.ts';
import type { FenceCall, MetaError } from './message.ts';
import { META_LIMITS } from './message.ts';

const ENTRY_OCTETS = 21;

/** Sorts; of more than META_LIMITS.fenceCalls calls the rest is left out. Throws RangeError on a malformed id (a bug). */
export function encodeFence(calls: readonly FenceCall[]): Uint8Array {
  const sorted = [...calls].sort((a, b) => (a.call < b.call ? -1 : 1)).slice(0, META_LIMITS.fenceCalls);
  const writer = new Writer(2 + sorted.length * ENTRY_OCTETS);
  writer.u16(sorted.length);
  for (const { call, state, mediaGeneration } of sorted) {
    if (!isCallId(call)) throw new RangeError('fence: call id');
    writer.raw(fromHex(call)!);
    writer.u8(CALL_STATES.indexOf(state));
    writer.u32(mediaGeneration);
  }
  return writer.bytes();
}

export function decodeFence(bytes: Uint8Array): Result<readonly FenceCall[], MetaError> {
  const reader = new Reader(bytes);
  const count = reader.u16();
  if (reader.failed) return fail({ reason: 'truncated', offset: 0, field: 'count' });
  if (count > META_LIMITS.fenceCalls) return fail({ reason: 'limit', offset: 2, field: 'count' });
  const expected = 2 + count * ENTRY_OCTETS;
  if (bytes.length < expected) return fail({ reason: 'truncated', offset: bytes.length, field: 'call' });
  if (bytes.length > expected) return fail({ reason: 'trailing', offset: expected, field: 'call' });
  const calls: FenceCall[] = [];
  let last = '';
  for (let i = 0; i < count; i++) {
    const call = toHex(reader.raw(16));
    if (call <= last) return fail({ reason: 'not-canonical', offset: reader.offset - 16, field: 'call' });
    last = call;
    const state = CALL_STATES[reader.u8()];
    if (state === undefined) return fail({ reason: 'value', offset: reader.offset - 1, field: 'state' });
    calls.push({ call, state, mediaGeneration: reader.u32() });
  }
  return ok(calls);
}
