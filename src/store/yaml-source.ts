/** A YAML text that knows where each of its values stands. */
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml';

export type ConfigPath = readonly PropertyKey[];

/** Line and column count from 1, columns in UTF-16 units, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface SyntaxFault extends Position {
  readonly message: string;
}

export class YamlSource {
  readonly faults: readonly SyntaxFault[];
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, strict: true });
    const faults = [...this.#document.errors, ...this.#document.warnings];
    // One slip often breaks several rules of YAML at the same place; the first says enough.
    this.faults = faults
      .filter((fault, index) => faults.findIndex((other) => other.pos[0] === fault.pos[0]) === index)
      .map((fault) => ({
        ...this.#position(fault.pos[0]),
        message: plainFault(fault.code, fault.message),
      }));
  }

  /** The plain values. Aliases are resolved, at most 100 of them. Only where there are no faults. */
  value(): unknown {
    return this.#document.toJS({ maxAliasCount: 100 });
  }

  /** Where the value at `path` stands; where there is none, the nearest thing around it. */
  at(path: ConfigPath): Position {
    for (let length = path.length; length >= 0; length--) {
      const node = this.#node(path.slice(0, length));
      // The value of an empty key has no extent of its own; its key has.
      if (node !== undefined && !(isScalar(node) && node.value === null)) return this.#position(start(node));
      const key = this.#key(path.slice(0, length));
      if (key !== undefined) return this.#position(start(key));
    }
    return { line: 1, column: 1 };
  }

  /** Where the last step of `path` is named as a key. */
  atKey(path: ConfigPath): Position {
    const key = this.#key(path);
    return key === undefined ? this.at(path) : this.#position(start(key));
  }

  /** The text of a scalar as it was written, for "write it in quotes". */
  written(path: ConfigPath): string | undefined {
    const node = this.#node(path);
    return isScalar(node) && node.range ? this.#text.slice(node.range[0], node.range[1]) : undefined;
  }

  #node(path: ConfigPath): Node | undefined {
    const node = path.length === 0 ? this.#document.contents : this.#document.getIn(path, true);
    return isNode(node) ? node : undefined;
  }

  #key(path: ConfigPath): Node | undefined {
    const parent = this.#node(path.slice(0, -1));
    const name = path.at(-1);
    if (!isMap(parent) || name === undefined) return undefined;
    const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === name);
    return isNode(pair?.key) ? pair.key : undefined;
  }

  #position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return line === 0 ? { line: 1, column: 1 } : { line, column: col };
  }
}

function start(node: Node): number {
  return node.range?.[0] ?? 0;
}

function plainFault(code: string, message: string): string {
  const first = message.split('\n')[0]!.trim();
  if (code === 'DUPLICATE_KEY') return 'this key stands twice in the same section; keep one of them';
  if (code === 'TAB_AS_INDENT') return 'a tab is used for indentation; use spaces';
  return `${first}; this is not YAML: check indentation, quotes and colons at and above this line`;
}
