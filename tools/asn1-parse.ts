/** Reads the part of ASN.1 (X.680) that the H.323 modules are written in. */

export interface Constraint {
  readonly size?: { readonly lb: number; readonly ub: number | undefined };
  readonly range?: {
    readonly lb: number | undefined;
    readonly ub: number | undefined;
    readonly extensible: boolean;
  };
  readonly alphabet?: string;
}

export interface Component {
  readonly name: string;
  readonly type: AsnType;
  readonly optional: boolean;
}

export interface EnumItem {
  readonly name: string;
  readonly value: number;
}

/** `additions` is undefined where there is no extension marker. A group is a list among the additions. */
export type AsnType =
  | { readonly kind: 'builtin'; readonly name: string; readonly constraint: Constraint }
  | {
      readonly kind: 'enumerated';
      readonly root: readonly EnumItem[];
      readonly additions: readonly EnumItem[] | undefined;
    }
  | {
      readonly kind: 'sequence' | 'choice';
      readonly root: readonly Component[];
      readonly additions: readonly (Component | readonly Component[])[] | undefined;
    }
  | { readonly kind: 'of'; readonly item: AsnType; readonly constraint: Constraint }
  | { readonly kind: 'open' }
  | {
      readonly kind: 'reference';
      readonly name: string;
      readonly arguments: readonly AsnType[];
      readonly constraint: Constraint;
    };

export interface Assignment {
  readonly name: string;
  readonly parameters: readonly string[];
  readonly type: AsnType;
}

export interface AsnModule {
  readonly name: string;
  /** Imported name → module name. */
  readonly imports: ReadonlyMap<string, string>;
  readonly types: ReadonlyMap<string, Assignment>;
}

const TOKEN =
  /"(?:[^"]|"")*"|::=|\.\.\.|\.\.|\[\[|\]\]|&?[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*|-?\d+|[{}()[\],;|.^<@:]/g;

function tokens(text: string): string[] {
  // X.680 12.6.3: a comment ends at the end of the line or at the next pair of hyphens
  return text.replace(/--.*?(?:--|$)/gm, ' ').match(TOKEN) ?? [];
}

class Parser {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokens(text);
  }

  peek(offset = 0): string {
    return this.#tokens[this.#at + offset] ?? '';
  }

  next(): string {
    return this.#tokens[this.#at++] ?? '';
  }

  accept(token: string): boolean {
    if (this.peek() !== token) return false;
    this.#at++;
    return true;
  }

  expect(token: string): void {
    if (!this.accept(token)) throw new Error(`expected ${token}, found ${this.#around()}`);
  }

  #around(): string {
    return this.#tokens.slice(Math.max(0, this.#at - 8), this.#at + 5).join(' ');
  }

  /** Skips a bracketed stretch, its opening bracket being next. */
  skipGroup(): void {
    let depth = 0;
    do {
      const token = this.next();
      if ('([{'.includes(token[0]!)) depth++;
      else if (')]}'.includes(token[0]!)) depth--;
      else if (token === '') throw new Error('unbalanced brackets');
    } while (depth > 0);
  }

  module(): AsnModule {
    const name = this.next();
    while (!this.accept('BEGIN')) this.next();
    if (this.accept('EXPORTS')) while (!this.accept(';')) this.next();
    const imports = this.accept('IMPORTS') ? this.#imports() : new Map<string, string>();
    const types = new Map<string, Assignment>();
    while (!this.accept('END')) {
      const assignment = this.#assignment();
      if (assignment !== undefined) types.set(assignment.name, assignment);
    }
    return { name, imports, types };
  }

  #imports(): Map<string, string> {
    const imports = new Map<string, string>();
    let names: string[] = [];
    while (!this.accept(';')) {
      const token = this.next();
      if (token === 'FROM') {
        const from = this.next();
        if (this.peek() === '{') this.skipGroup();
        for (const name of names) imports.set(name, from);
        names = [];
      } else if (token === '{') {
        this.expect('}'); // SIGNED{}
      } else if (token !== ',') {
        names.push(token);
      }
    }
    return imports;
  }

  /** Undefined for values and value sets: PER tables have no use for them. */
  #assignment(): Assignment | undefined {
    const name = this.next();
    const parameters: string[] = [];
    if (this.accept('{')) {
      while (!this.accept('}')) {
        const parameter = this.next();
        if (parameter !== ',') parameters.push(parameter);
      }
    }
    if (this.accept('::=')) return { name, parameters, type: this.type() };
    this.type();
    this.expect('::=');
    if (this.peek() === '{') this.skipGroup();
    else this.next();
    return undefined;
  }

  type(): AsnType {
    if (this.peek() === '[') this.skipGroup(); // an explicit tag: order is checked by the emitter's reader, PER sends none
    const word = this.next();
    switch (word) {
      case 'SEQUENCE':
      case 'SET':
        return this.#sequenceOrOf();
      case 'CHOICE':
        return { kind: 'choice', ...this.#components() };
      case 'ENUMERATED':
        return this.#enumerated();
      case 'TYPE-IDENTIFIER':
        this.expect('.');
        this.expect('&Type');
        this.#constraints();
        return { kind: 'open' };
      case 'BIT':
      case 'OCTET':
        this.expect('STRING');
        return this.#builtin(`${word} STRING`);
      case 'OBJECT':
        this.expect('IDENTIFIER');
        return this.#builtin('OBJECT IDENTIFIER');
      case 'INTEGER':
        if (this.peek() === '{') this.skipGroup(); // named numbers
        return this.#builtin(word);
      default:
        return BUILTIN.has(word) ? this.#builtin(word) : this.#reference(word);
    }
  }

  #builtin(name: string): AsnType {
    return { kind: 'builtin', name, constraint: this.#constraints() };
  }

  #reference(name: string): AsnType {
    if (!/^[A-Z]/.test(name)) throw new Error(`not a type: ${name} in ${this.#around()}`);
    const args: AsnType[] = [];
    if (this.accept('{')) {
      while (!this.accept('}')) {
        args.push(this.type());
        this.accept(',');
      }
    }
    return { kind: 'reference', name, arguments: args, constraint: this.#constraints() };
  }

  #sequenceOrOf(): AsnType {
    if (this.peek() === '{') {
      const body = this.#components();
      this.#constraints();
      return { kind: 'sequence', ...body };
    }
    const constraint = this.peek() === 'SIZE' ? this.#constraint() : this.#constraints();
    this.expect('OF');
    return { kind: 'of', item: this.type(), constraint };
  }

  #components(): { root: Component[]; additions: (Component | Component[])[] | undefined } {
    this.expect('{');
    const root: Component[] = [];
    let additions: (Component | Component[])[] | undefined;
    while (!this.accept('}')) {
      if (this.accept('...')) {
        if (additions !== undefined) throw new Error(`second root list: ${this.#around()}`);
        additions = [];
      } else if (this.accept('[[')) {
        const group: Component[] = [];
        while (!this.accept(']]')) {
          group.push(this.#component());
          this.accept(',');
        }
        additions!.push(group);
      } else {
        (additions ?? root).push(this.#component());
      }
      this.accept(',');
    }
    return { root, additions };
  }

  #component(): Component {
    const name = this.next();
    if (!/^[a-z]/.test(name)) throw new Error(`not an identifier: ${name} in ${this.#around()}`);
    const type = this.type();
    let optional = this.accept('OPTIONAL');
    if (this.accept('DEFAULT')) {
      if (this.peek() === '{') this.skipGroup();
      else this.next();
      optional = true;
    }
    return { name, type, optional };
  }

  #enumerated(): AsnType {
    this.expect('{');
    const root: EnumItem[] = [];
    let additions: EnumItem[] | undefined;
    while (!this.accept('}')) {
      if (this.accept('...')) {
        additions = [];
      } else {
        const list = additions ?? root;
        const name = this.next();
        let value = root.length + (additions?.length ?? 0);
        if (this.accept('(')) {
          value = Number(this.next());
          this.expect(')');
        }
        list.push({ name, value });
      }
      this.accept(',');
    }
    root.sort((a, b) => a.value - b.value); // X.691 14.1: indices follow the values
    return { kind: 'enumerated', root, additions };
  }

  #constraints(): Constraint {
    let all: Constraint = {};
    while (this.peek() === '(') all = { ...all, ...this.#constraint() };
    return all;
  }

  #constraint(): Constraint {
    if (this.accept('SIZE')) {
      const { lb, ub, extensible } = this.#range();
      if (extensible) throw new Error(`extensible size: ${this.#around()}`);
      return { size: { lb: lb ?? 0, ub } };
    }
    if (this.peek() === '(') {
      if (this.peek(1) === 'SIZE' || this.peek(1) === 'FROM') {
        this.expect('(');
        let inner = this.#constraint();
        while (this.accept('^')) inner = { ...inner, ...this.#constraint() };
        this.expect(')');
        return inner;
      }
      if (this.peek(1) === 'CONSTRAINED' || this.peek(1) === 'WITH' || /^[A-Z]/.test(this.peek(1))) {
        if (this.peek(1) !== 'MIN') {
          this.skipGroup(); // not visible to PER
          return {};
        }
      }
      return { range: this.#range() };
    }
    this.expect('FROM');
    this.expect('(');
    let alphabet = '';
    while (!this.accept(')')) {
      const token = this.next();
      if (token.startsWith('"')) alphabet += token.slice(1, -1);
      else if (token !== '|') throw new Error(`alphabet: ${this.#around()}`);
    }
    return { alphabet };
  }

  /** `(lb..ub)`, `(n)`, with or without `, ...`. */
  #range(): { lb: number | undefined; ub: number | undefined; extensible: boolean } {
    this.expect('(');
    const bound = (word: string): number | undefined => {
      if (word === 'MIN' || word === 'MAX') return undefined;
      if (!/^-?\d+$/.test(word)) throw new Error(`bound ${word}: ${this.#around()}`);
      return Number(word);
    };
    const lb = bound(this.next());
    const ub = this.accept('..') ? bound(this.next()) : lb;
    let extensible = false;
    if (this.accept(',')) {
      this.expect('...');
      extensible = true;
    }
    this.expect(')');
    return { lb, ub, extensible };
  }
}

const BUILTIN = new Set([
  'BOOLEAN',
  'NULL',
  'IA5String',
  'VisibleString',
  'PrintableString',
  'NumericString',
  'GeneralString',
  'BMPString',
]);

export function parseAsn1(text: string): AsnModule {
  return new Parser(text).module();
}
