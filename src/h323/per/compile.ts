/** Turns a module's table into linked nodes with everything PER wants to know computed once. */
import type { AlternativeSpec, FieldSpec, GroupSpec, Size, TypeSpec } from './types.ts';

/** How a whole number of a known range is laid out (X.691 11.5.7). */
export interface RangeLayout {
  readonly lb: number;
  readonly ub: number;
  /** `bits`: unaligned field of `width` bits; `octets`: aligned, `width` octets; `long`: length (1..width) first. */
  readonly form: 'bits' | 'octets' | 'long';
  readonly width: number;
}

export type IntegerNode = {
  readonly kind: 'integer';
  readonly extensible: boolean;
  readonly range: RangeLayout | undefined;
  /** Semi-constrained where only this is set (X.691 11.7). */
  readonly lb: number | undefined;
};

/** Length determinant: fixed, a constrained whole number, or general (X.691 11.9). */
export interface SizeLayout {
  readonly lb: number;
  readonly ub: number | undefined;
  readonly fixed: boolean;
  readonly range: RangeLayout | undefined;
}

export type StringNode = {
  readonly kind: 'string';
  readonly size: SizeLayout;
  /** Bits per character (X.691 30.5.2, ALIGNED: 1, 2, 4, 8 or 16). */
  readonly bits: number;
  /** Code of character n of the alphabet; undefined: the code itself is sent. */
  readonly codes: readonly number[] | undefined;
  /** Whether a code is of the alphabet. */
  readonly allowed: (code: number) => boolean;
  /** Contents start on an octet boundary (30.5.6, 30.5.7). */
  readonly aligned: boolean;
};

export interface FieldNode {
  readonly name: string;
  readonly optional: boolean;
  readonly type: TypeNode;
}

export interface AdditionNode {
  /** Empty for a group, whose `type` is a SEQUENCE with fields that belong to the outer value. */
  readonly name: string;
  readonly type: TypeNode;
}

export type SequenceNode = {
  readonly kind: 'sequence';
  root: readonly FieldNode[];
  optionals: readonly FieldNode[];
  additions: readonly AdditionNode[] | undefined;
};

export type ChoiceNode = {
  readonly kind: 'choice';
  root: readonly AdditionNode[];
  additions: readonly AdditionNode[] | undefined;
  index: RangeLayout;
  byName: ReadonlyMap<string, number>;
};

export type EnumeratedNode = {
  readonly kind: 'enumerated';
  readonly root: readonly string[];
  readonly additions: readonly string[] | undefined;
  readonly index: RangeLayout;
};

export type OfNode = { readonly kind: 'of'; item: TypeNode; readonly size: SizeLayout };

export type TypeNode =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'null' }
  | { readonly kind: 'oid' }
  | { readonly kind: 'open' }
  | { readonly kind: 'bits'; readonly size: SizeLayout }
  | { readonly kind: 'octets'; readonly size: SizeLayout }
  | IntegerNode
  | EnumeratedNode
  | StringNode
  | SequenceNode
  | ChoiceNode
  | OfNode;

/** A named type ready for decodePer and encodePer; `T` is how its values look. */
export interface PerType<T> {
  readonly name: string;
  readonly node: TypeNode;
  /** Never set: carries T. */
  readonly of?: T;
}

/** Whole-number range 1 .. 2^53 values (X.691 11.5.7.1 to .4). */
export function rangeLayout(lb: number, ub: number): RangeLayout {
  const last = ub - lb;
  if (last < 255) return { lb, ub, form: 'bits', width: bitsFor(last) };
  if (last === 255) return { lb, ub, form: 'octets', width: 1 };
  if (last <= 0xffff) return { lb, ub, form: 'octets', width: 2 };
  return { lb, ub, form: 'long', width: Math.ceil(bitsFor(last) / 8) };
}

/** Bits needed for 0 .. last. */
function bitsFor(last: number): number {
  let width = 0;
  for (let reach = 1; reach <= last; reach *= 2) width++;
  return width;
}

export function sizeLayout(size: Size): SizeLayout {
  const { lb, ub } = size;
  const bounded = ub !== undefined && ub < 0x1_0000; // X.691 11.9.4.1: "ub" of 64K and more counts as unset
  return {
    lb,
    ub,
    fixed: bounded && lb === ub,
    range: bounded && lb !== ub ? rangeLayout(lb, ub) : undefined,
  };
}

const PRINTABLE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?";

function stringNode(spec: Extract<TypeSpec, { readonly kind: 'string' }>): StringNode {
  const size = sizeLayout(spec.size);
  const alphabet = spec.alphabet ?? (spec.charset === 'numeric' ? ' 0123456789' : undefined);
  const wide = spec.charset === 'bmp' ? 16 : 8;
  let bits = wide;
  let codes: number[] | undefined;
  if (alphabet !== undefined) {
    codes = [...new Set(alphabet)].map((c) => c.charCodeAt(0)).sort((a, b) => a - b);
    bits = 1;
    while (2 ** bits < codes.length) bits *= 2; // 30.5.2: rounded up to a power of two in ALIGNED
    if (bits > wide) bits = wide;
    // 30.5.4: codes that fit into the field are sent as they are
    if (codes.at(-1)! < 2 ** bits) codes = undefined;
  }
  const set = new Set(
    [...(alphabet ?? (spec.charset === 'printable' ? PRINTABLE : ''))].map((c) => c.charCodeAt(0)),
  );
  const most = spec.charset === 'bmp' ? 0xffff : spec.charset === 'general' ? 0xff : 0x7f;
  const least = spec.charset === 'visible' ? 0x20 : 0;
  const span = (size.ub ?? 0x1_0000) * bits;
  return {
    kind: 'string',
    size,
    bits,
    codes,
    allowed: set.size > 0 ? (code) => set.has(code) : (code) => code >= least && code <= most,
    aligned: size.fixed ? span > 16 : span >= 16,
  };
}

/** The types of one module and, by name, what it imports from others. */
export class PerModule {
  readonly name: string;
  readonly #types: Readonly<Record<string, TypeSpec>>;
  readonly #imports: Readonly<Record<string, PerModule>>;
  readonly #nodes = new Map<string, TypeNode>();

  constructor(
    name: string,
    types: Readonly<Record<string, TypeSpec>>,
    imports: Readonly<Record<string, PerModule>> = {},
  ) {
    this.name = name;
    this.#types = types;
    this.#imports = imports;
  }

  /** ASN.1 names of the module's own types. */
  get names(): readonly string[] {
    return Object.keys(this.#types);
  }

  /** Throws where there is no such type: a bug of the caller or of the table. */
  type<T>(name: string): PerType<T> {
    return { name, node: this.#named(name) };
  }

  /** The description behind a name, and the module in which the names inside it mean something. Throws as `type` does. */
  describe(name: string): { readonly module: PerModule; readonly spec: Exclude<TypeSpec, string> } {
    const spec = this.#types[name];
    if (spec === undefined && this.#imports[name] !== undefined) return this.#imports[name].describe(name);
    if (spec === undefined) throw new Error(`no type ${name} in ${this.name}`);
    return typeof spec === 'string' ? this.describe(spec) : { module: this, spec };
  }

  #named(name: string): TypeNode {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    const imported = this.#imports[name];
    if (imported !== undefined) return imported.#named(name);
    const spec = this.#types[name];
    if (spec === undefined) throw new Error(`no type ${name} in ${this.name}`);
    if (typeof spec === 'string') return this.#named(spec);
    return this.#node(spec, name);
  }

  /** Constructed types are entered under their name before their parts are made: a part may be the type itself. */
  #node(spec: TypeSpec, name?: string): TypeNode {
    if (typeof spec === 'string') return this.#named(spec);
    const enter = <N extends TypeNode>(node: N): N => {
      if (name !== undefined) this.#nodes.set(name, node);
      return node;
    };
    switch (spec.kind) {
      case 'sequence': {
        const node = enter<SequenceNode>({ kind: 'sequence', root: [], optionals: [], additions: undefined });
        node.root = spec.root.map((f) => this.#field(f));
        node.optionals = node.root.filter((f) => f.optional);
        node.additions = spec.additions?.map((a) => this.#addition(a));
        return node;
      }
      case 'choice': {
        const index = rangeLayout(0, spec.root.length - 1);
        const names = [...spec.root, ...(spec.additions ?? [])].map(([alternative]) => alternative);
        const byName = new Map(names.map((alternative, i) => [alternative, i]));
        const node = enter<ChoiceNode>({ kind: 'choice', root: [], additions: undefined, index, byName });
        node.root = spec.root.map((a) => this.#alternative(a));
        node.additions = spec.additions?.map((a) => this.#alternative(a));
        return node;
      }
      case 'of': {
        const node = enter<OfNode>({ kind: 'of', item: { kind: 'null' }, size: sizeLayout(spec.size) });
        node.item = this.#node(spec.item);
        return node;
      }
      default:
        return enter(simpleNode(spec));
    }
  }

  #field(spec: FieldSpec): FieldNode {
    return { name: spec[0], type: this.#node(spec[1]), optional: spec.length === 3 };
  }

  #alternative(spec: AlternativeSpec): AdditionNode {
    return { name: spec[0], type: this.#node(spec[1]) };
  }

  #addition(spec: FieldSpec | GroupSpec): AdditionNode {
    if (!('group' in spec)) return { name: spec[0], type: this.#node(spec[1]) };
    return { name: '', type: this.#node({ kind: 'sequence', root: spec.group, additions: undefined }) };
  }
}

type SimpleSpec = Exclude<TypeSpec, string | { readonly kind: 'sequence' | 'choice' | 'of' }>;

function simpleNode(spec: SimpleSpec): TypeNode {
  switch (spec.kind) {
    case 'integer': {
      const { lb, ub, extensible } = spec;
      const range = lb !== undefined && ub !== undefined ? rangeLayout(lb, ub) : undefined;
      return { kind: 'integer', extensible, range, lb };
    }
    case 'enumerated': {
      const index = rangeLayout(0, spec.root.length - 1);
      return { kind: 'enumerated', root: spec.root, additions: spec.additions, index };
    }
    case 'bits':
      return { kind: 'bits', size: sizeLayout(spec.size) };
    case 'octets':
      return { kind: 'octets', size: sizeLayout(spec.size) };
    case 'string':
      return stringNode(spec);
    default:
      return { kind: spec.kind };
  }
}
