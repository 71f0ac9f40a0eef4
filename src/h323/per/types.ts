/**
 * How an ASN.1 type is written down as data, for the PER interpreter (X.691) in this folder. A module is a table of named
 * types; inside it a type refers to another by its ASN.1 name, so that types may contain themselves.
 *
 * How values look in JavaScript:
 *
 *   BOOLEAN                      boolean
 *   NULL                         null
 *   INTEGER                      number; `bigint` only for an unconstrained INTEGER beyond ±(2^53-1)
 *   ENUMERATED                   the identifier; 'unknown' where a later edition's was received (not encodable)
 *   BIT STRING                   { bits, bytes }: `bits` counts from the most significant bit of bytes[0]
 *   OCTET STRING                 Uint8Array (a copy when decoded)
 *   OBJECT IDENTIFIER            '0.0.8.2250.0.4'
 *   character strings            string; BMPString is UTF-16 code units, GeneralString one character per octet
 *   SEQUENCE, SET                object; what is absent (also: undefined) has no property
 *   CHOICE                       { choice: identifier, value }; a later edition's is { choice: 'unknown', value: { index, bytes } }
 *   SEQUENCE OF, SET OF          array
 *   open type                    Uint8Array, the octets of the complete encoding inside
 *
 * Identifiers: ASN.1's, with each hyphen dropped and the letter after it in upper case: `h323-uu-pdu` is h323UuPdu, `url-ID`
 * urlID, `user-data` userData.
 */

export interface BitString {
  /** Number of bits used. */
  readonly bits: number;
  /** ceil(bits / 8) octets, unused bits 0. */
  readonly bytes: Uint8Array;
}

/** A CHOICE alternative of a later edition: its number among the extension additions (from 0) and its open type's octets. */
export interface UnknownAlternative {
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** One alternative of a CHOICE, as generated types write it. */
export interface Alternative<Name extends string, Value> {
  readonly choice: Name;
  readonly value: Value;
}

export type UnknownChoice = Alternative<'unknown', UnknownAlternative>;

/** Number of octets, bits, characters or elements; `ub` undefined: unbounded. */
export interface Size {
  readonly lb: number;
  readonly ub: number | undefined;
}

export type Charset = 'ia5' | 'visible' | 'printable' | 'numeric' | 'bmp' | 'general';

/** `[name, type]`, or `[name, type, OPT]` for OPTIONAL and DEFAULT. Extension additions are always optional when decoding. */
export type FieldSpec =
  | readonly [name: string, type: TypeSpec]
  | readonly [name: string, type: TypeSpec, optional: true];
export type AlternativeSpec = readonly [name: string, type: TypeSpec];

/** A type: the name of one in the same table (or imported into it), or a description. */
export type TypeSpec =
  | string
  | { readonly kind: 'boolean' }
  | { readonly kind: 'null' }
  | { readonly kind: 'oid' }
  | { readonly kind: 'open' }
  | {
      readonly kind: 'integer';
      readonly lb: number | undefined;
      readonly ub: number | undefined;
      readonly extensible: boolean;
    }
  | {
      readonly kind: 'enumerated';
      readonly root: readonly string[];
      readonly additions: readonly string[] | undefined;
    }
  | { readonly kind: 'bits'; readonly size: Size }
  | { readonly kind: 'octets'; readonly size: Size }
  | {
      readonly kind: 'string';
      readonly charset: Charset;
      readonly size: Size;
      readonly alphabet: string | undefined;
    }
  | {
      readonly kind: 'sequence';
      readonly root: readonly FieldSpec[];
      readonly additions: readonly (FieldSpec | GroupSpec)[] | undefined;
    }
  | {
      readonly kind: 'choice';
      readonly root: readonly AlternativeSpec[];
      readonly additions: readonly AlternativeSpec[] | undefined;
    }
  | { readonly kind: 'of'; readonly item: TypeSpec; readonly size: Size };

/** `[[ ... ]]`: additions that travel together; in the value they are fields of the SEQUENCE itself. */
export interface GroupSpec {
  readonly group: readonly FieldSpec[];
}

export const OPT = true;
export const BOOLEAN: TypeSpec = { kind: 'boolean' };
export const NULL: TypeSpec = { kind: 'null' };
export const OID: TypeSpec = { kind: 'oid' };
export const OPEN: TypeSpec = { kind: 'open' };

/** INTEGER, INTEGER (lb..MAX), INTEGER (lb..ub); `extensible`: the constraint ends in `...`. */
export function integer(lb?: number, ub?: number, extensible = false): TypeSpec {
  return { kind: 'integer', lb, ub, extensible };
}

/** ENUMERATED: identifiers of the root in ascending order of their values; `additions` (perhaps empty) where it has `...`. */
export function enumerated(root: readonly string[], additions?: readonly string[]): TypeSpec {
  return { kind: 'enumerated', root, additions };
}

export function bits(lb = 0, ub?: number): TypeSpec {
  return { kind: 'bits', size: { lb, ub } };
}

export function octets(lb = 0, ub?: number): TypeSpec {
  return { kind: 'octets', size: { lb, ub } };
}

/** A character string; `alphabet`: the characters of FROM(...), in any order. */
export function text(charset: Charset, lb = 0, ub?: number, alphabet?: string): TypeSpec {
  return { kind: 'string', charset, size: { lb, ub }, alphabet };
}

/** SEQUENCE; `additions` (perhaps empty) where it has `...`. */
export function sequence(
  root: readonly FieldSpec[],
  additions?: readonly (FieldSpec | GroupSpec)[],
): TypeSpec {
  return { kind: 'sequence', root, additions };
}

export function choice(root: readonly AlternativeSpec[], additions?: readonly AlternativeSpec[]): TypeSpec {
  return { kind: 'choice', root, additions };
}

/** SEQUENCE OF and SET OF: basic PER encodes both alike. */
export function listOf(item: TypeSpec, lb = 0, ub?: number): TypeSpec {
  return { kind: 'of', item, size: { lb, ub } };
}
