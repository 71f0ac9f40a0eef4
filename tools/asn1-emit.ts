/** One module as TypeScript: its table for the PER interpreter, and the types of its values. */
import type { AsnModule, AsnType, Assignment, Component, Constraint } from './asn1-parse.ts';

const CHARSETS: Readonly<Record<string, string>> = {
  IA5String: 'ia5',
  VisibleString: 'visible',
  PrintableString: 'printable',
  NumericString: 'numeric',
  GeneralString: 'general',
  BMPString: 'bmp',
};

/** The rule of src/h323/per/types.ts: hyphens dropped, the character after each in upper case. */
export function identifier(name: string): string {
  return name.replace(/-(.)/g, (_, c: string) => c.toUpperCase());
}

export class Emitter {
  readonly #module: AsnModule;
  readonly #moduleOf: (name: string) => AsnModule;
  /** Names used from other modules: name → module name as in the import. */
  readonly used = new Map<string, string>();
  readonly builders = new Set<string>();
  readonly valueTypes = new Set<string>();

  constructor(module: AsnModule, moduleOf: (name: string) => AsnModule) {
    this.#module = module;
    this.#moduleOf = moduleOf;
  }

  /** `'Name': spec,` for every type that is not parameterised. */
  table(): string {
    const entries = this.#plain().map((a) => `${JSON.stringify(a.name)}: ${this.#spec(a.type)},`);
    return entries.join('\n');
  }

  types(): string {
    return this.#plain()
      .map((a) => {
        const name = identifier(a.name);
        if (a.type.kind === 'sequence' && this.#fields(a.type) !== '') {
          return `export interface ${name} {${this.#fields(a.type)}}`;
        }
        return `export type ${name} = ${this.#ts(a.type)};`;
      })
      .join('\n\n');
  }

  #plain(): Assignment[] {
    return [...this.#module.types.values()].filter((a) => a.parameters.length === 0);
  }

  #use(builder: string): string {
    this.builders.add(builder);
    return builder;
  }

  #spec(type: AsnType): string {
    switch (type.kind) {
      case 'builtin':
        return this.#builtin(type.name, type.constraint);
      case 'open':
        return this.#use('OPEN');
      case 'enumerated': {
        const names = (list: readonly { readonly name: string }[]): string =>
          JSON.stringify(list.map((i) => identifier(i.name)));
        const additions = type.additions === undefined ? '' : `, ${names(type.additions)}`;
        return `${this.#use('enumerated')}(${names(type.root)}${additions})`;
      }
      case 'of':
        return `${this.#use('listOf')}(${this.#spec(type.item)}${sizeArguments(type.constraint)})`;
      case 'reference':
        return this.#reference(
          type,
          (t) => this.#spec(t),
          (name) => JSON.stringify(name),
        );
      default: {
        const list = (components: readonly (Component | readonly Component[])[]): string =>
          `[${components.map((c) => this.#component(c, type.kind)).join(', ')}]`;
        const additions = type.additions === undefined ? '' : `, ${list(type.additions)}`;
        return `${this.#use(type.kind)}(${list(type.root)}${additions})`;
      }
    }
  }

  #component(component: Component | readonly Component[], kind: string): string {
    if (!('name' in component)) {
      return `{ group: [${component.map((c) => this.#component(c, kind)).join(', ')}] }`;
    }
    const optional = component.optional ? `, ${this.#use('OPT')}` : '';
    return `['${identifier(component.name)}', ${this.#spec(component.type)}${optional}]`;
  }

  #builtin(name: string, constraint: Constraint): string {
    switch (name) {
      case 'BOOLEAN':
      case 'NULL':
        return this.#use(name);
      case 'OBJECT IDENTIFIER':
        return this.#use('OID');
      case 'INTEGER': {
        const { lb, ub, extensible } = constraint.range ?? {
          lb: undefined,
          ub: undefined,
          extensible: false,
        };
        const bounds =
          lb === undefined && ub === undefined ? '' : ub === undefined ? `${lb}` : `${lb}, ${ub}`;
        return `${this.#use('integer')}(${bounds}${extensible ? ', true' : ''})`;
      }
      case 'BIT STRING':
      case 'OCTET STRING':
        return `${this.#use(name === 'BIT STRING' ? 'bits' : 'octets')}(${sizeArguments(constraint).slice(2)})`;
      default: {
        const size = sizeArguments(constraint);
        const alphabet = constraint.alphabet;
        const from =
          alphabet === undefined
            ? ''
            : `${size === '' ? ', 0, undefined' : size}, ${JSON.stringify(alphabet)}`;
        return `${this.#use('text')}('${CHARSETS[name]}'${from === '' ? size : from})`;
      }
    }
  }

  /** A name stays a name unless it has arguments, or a constraint that PER sees: then what it stands for is written out. */
  #reference(
    type: Extract<AsnType, { readonly kind: 'reference' }>,
    expand: (type: AsnType) => string,
    named: (name: string) => string,
  ): string {
    const { assignment, home } = this.#resolve(type.name);
    if (type.arguments.length > 0) {
      const values = new Map(assignment.parameters.map((p, i) => [p, type.arguments[i]!]));
      return expand(this.#imported(substitute(assignment.type, values), home, new Set(type.arguments)));
    }
    if (Object.keys(type.constraint).length > 0)
      return expand(this.#constrained(assignment.type, type.constraint));
    return named(type.name);
  }

  #resolve(name: string): { assignment: Assignment; home: AsnModule } {
    const own = this.#module.types.get(name);
    if (own !== undefined) return { assignment: own, home: this.#module };
    const from = this.#module.imports.get(name) ?? this.used.get(name);
    const home = from === undefined ? undefined : this.#moduleOf(from);
    const assignment = home?.types.get(name);
    if (from === undefined || home === undefined || assignment === undefined) {
      throw new Error(`${name} is not known in ${this.#module.name}`);
    }
    if (assignment.parameters.length === 0) this.used.set(name, from);
    return { assignment, home };
  }

  #constrained(type: AsnType, constraint: Constraint): AsnType {
    if (type.kind === 'reference')
      return this.#constrained(this.#resolve(type.name).assignment.type, constraint);
    if (type.kind !== 'builtin') throw new Error(`constraint on ${type.kind} in ${this.#module.name}`);
    return { ...type, constraint: { ...type.constraint, ...constraint } };
  }

  /** Names inside another module's parameterised type belong to that module. */
  #imported(type: AsnType, home: AsnModule, own: ReadonlySet<AsnType>): AsnType {
    if (own.has(type) || home === this.#module) return type;
    if (type.kind === 'reference') {
      if (this.#module.types.has(type.name)) throw new Error(`${type.name} has two meanings`);
      this.used.set(type.name, home.name);
    }
    if (type.kind === 'sequence' || type.kind === 'choice') {
      for (const component of type.root) this.#imported(component.type, home, own);
    }
    return type;
  }

  #value(name: string): string {
    this.valueTypes.add(name);
    return name;
  }

  #ts(type: AsnType): string {
    switch (type.kind) {
      case 'builtin':
        return this.#builtinTs(type.name, type.constraint);
      case 'open':
        return 'Uint8Array';
      case 'enumerated': {
        const names = [...type.root, ...(type.additions ?? [])].map((i) => `'${identifier(i.name)}'`);
        return [...names, ...(type.additions === undefined ? [] : ["'unknown'"])].join(' | ');
      }
      case 'of': {
        const item = this.#ts(type.item);
        return /^[\w]+$/.test(item) ? `readonly ${item}[]` : `readonly (${item})[]`;
      }
      case 'reference':
        return this.#reference(type, (t) => this.#ts(t), identifier);
      case 'choice': {
        const all = [...type.root, ...(type.additions ?? [])].flat();
        const alternatives = all.map(
          (c) => `${this.#value('Alternative')}<'${identifier(c.name)}', ${this.#ts(c.type)}>`,
        );
        if (type.additions !== undefined) alternatives.push(this.#value('UnknownChoice'));
        return alternatives.join(' | ');
      }
      default: {
        const fields = this.#fields(type);
        return fields === '' ? 'Readonly<Record<string, never>>' : `{${fields}}`;
      }
    }
  }

  #builtinTs(name: string, constraint: Constraint): string {
    switch (name) {
      case 'BOOLEAN':
        return 'boolean';
      case 'NULL':
        return 'null';
      case 'INTEGER':
        return constraint.range?.ub === undefined || constraint.range.extensible
          ? 'number | bigint'
          : 'number';
      case 'BIT STRING':
        return this.#value('BitString');
      case 'OCTET STRING':
        return 'Uint8Array';
      default:
        return 'string';
    }
  }

  #fields(type: AsnType): string {
    if (type.kind !== 'sequence') return '';
    const line = (c: Component, optional: boolean): string => {
      const ts = this.#ts(c.type);
      return `readonly ${identifier(c.name)}${optional ? '?' : ''}: ${ts}${optional ? ' | undefined' : ''};`;
    };
    const root = type.root.map((c) => line(c, c.optional));
    const additions = (type.additions ?? []).flat().map((c) => line(c, true));
    return [...root, ...additions].join('\n');
  }
}

function sizeArguments(constraint: Constraint): string {
  const { size } = constraint;
  if (size === undefined) return '';
  return size.ub === undefined ? `, ${size.lb}` : `, ${size.lb}, ${size.ub}`;
}

function substitute(type: AsnType, values: ReadonlyMap<string, AsnType>): AsnType {
  if (type.kind === 'reference') return values.get(type.name) ?? type;
  if (type.kind !== 'sequence') return type;
  return { ...type, root: type.root.map((c) => ({ ...c, type: substitute(c.type, values) })) };
}
