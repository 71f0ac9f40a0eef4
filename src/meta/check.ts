/** Whether a message is one that Meta can carry. encode.ts asks before writing, decode.ts after reading. */
import { isDisplayName, isNumber, isOctets, isPrintable } from './characters.ts';
import type { Field, FieldType, MessageValues } from './fields.ts';
import {
  DIGEST_ALGORITHMS,
  DIGITS,
  LAYOUT_BY_KIND,
  NUMBER_TYPES,
  PRIVACIES,
  PROOF_STRINGS,
} from './fields.ts';
import { mediaProblem } from './media-rules.ts';
import type { DigestProof, MediaExchange, MetaMessage, Party } from './message.ts';
import { META_LIMITS } from './message.ts';

export interface Problem {
  readonly reason: 'type' | 'value' | 'limit';
  /** Field, or `field.rule`. */
  readonly field: string;
}

/** Undefined where every field of the message is within its range. Fields newer than `minor` are not looked at. */
export function checkMessage(message: MetaMessage, minor: number): Problem | undefined {
  const layout = LAYOUT_BY_KIND.get(message.kind);
  if (layout === undefined || layout.since > minor) return { reason: 'type', field: 'kind' };
  const values = message as unknown as MessageValues;
  if (layout.head === 'call' ? !isCallId(values.call) : !isExchange(values.exchange)) {
    return { reason: 'value', field: layout.head };
  }
  for (const field of layout.fields) {
    if (field.since > minor) continue;
    const problem = checkField(field, values[field.name]);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkField(field: Field, value: unknown): Problem | undefined {
  if (value === undefined) return field.optional ? undefined : { reason: 'value', field: field.name };
  const problem = valueProblem(field.type, value);
  if (problem === undefined) return undefined;
  const name = problem === '' ? field.name : `${field.name}.${problem}`;
  return { reason: 'value', field: name };
}

/** Undefined: good. '' : the value itself; else which part of it. */
function valueProblem(type: FieldType, value: unknown): string | undefined {
  switch (type.type) {
    case 'integer':
      return isInteger(value, type.min, type.max) && (value as number) % type.multipleOf === 0
        ? undefined
        : '';
    case 'choice':
      return type.values.includes(value as string) ? undefined : '';
    case 'flag':
      return typeof value === 'boolean' ? undefined : '';
    case 'digit':
      return typeof value === 'string' && value.length === 1 && DIGITS.includes(value) ? undefined : '';
    case 'call':
      return isCallId(value) ? undefined : '';
    case 'ascii':
      return isText(value, type.min, type.max) ? undefined : '';
    case 'party':
      return partyProblem(value as Party);
    case 'media':
      return mediaProblem(value as MediaExchange);
    case 'proof':
      return proofProblem(value as DigestProof);
  }
}

function partyProblem(party: Party): string | undefined {
  if (!NUMBER_TYPES.includes(party.numberType)) return 'numberType';
  if (!isNumber(party.number, party.numberType)) return 'number';
  if (party.displayName !== undefined && !isDisplayName(party.displayName)) return 'displayName';
  return PRIVACIES.includes(party.privacy) ? undefined : 'privacy';
}

function proofProblem(proof: DigestProof): string | undefined {
  if (!DIGEST_ALGORITHMS.includes(proof.algorithm)) return 'algorithm';
  if (!isInteger(proof.nonceCount, 0, 0xffff_ffff)) return 'nonceCount';
  for (const name of PROOF_STRINGS) {
    const text = proof[name];
    if (typeof text !== 'string' || text.length > META_LIMITS.digestBytes || !isOctets(text)) return name;
  }
  return undefined;
}

/** 32 lower-case hexadecimal digits. */
export function isCallId(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);
}

function isExchange(value: unknown): boolean {
  return isInteger(value, 1, 0xffff_ffff);
}

function isInteger(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

function isText(value: unknown, min: number, max: number): boolean {
  return typeof value === 'string' && value.length >= min && value.length <= max && isPrintable(value);
}
