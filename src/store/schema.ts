/** JSON Schema (draft 7, what editors understand) of the configuration file, from the one definition in config-schema.ts. */
import { z } from 'zod';
import { configSchema } from './config-schema.ts';

/** The part of JSON Schema that occurs here. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema | readonly JsonSchema[];
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly [key: string]: unknown;
}

export function configJsonSchema(): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' });
  return { $schema, title: 'voip-sgw configuration', ...rest } as JsonSchema;
}

/** As committed in docs/voip-sgw.schema.json and printed by `voip-sgw schema`. */
export function configJsonSchemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
}

/** The schema at `path` (keys and indexes), or undefined. */
export function schemaAt(root: JsonSchema, path: readonly PropertyKey[]): JsonSchema | undefined {
  let at: JsonSchema | undefined = root;
  for (const step of path) {
    if (at === undefined) return undefined;
    if (typeof step === 'number') {
      at = Array.isArray(at.items)
        ? (at.items as readonly JsonSchema[])[step]
        : (at.items as JsonSchema | undefined);
    } else {
      at = at.properties?.[String(step)];
    }
  }
  return at;
}

/** Markdown tables of every key, for docs/configuration.md. */
export function configReference(): string {
  const lines: string[] = [];
  const sections: { readonly title: string; readonly schema: JsonSchema }[] = [
    { title: 'Top level', schema: configJsonSchema() },
  ];
  for (let section = sections.shift(); section !== undefined; section = sections.shift()) {
    lines.push(`### ${section.title}`, '', section.schema.description ?? '', '');
    lines.push('| Key | Type | Default | Meaning |', '| --- | --- | --- | --- |');
    const nested: typeof sections = [];
    const prefix = section.title === 'Top level' ? '' : `${section.title.replaceAll('`', '')}.`;
    for (const [key, schema] of Object.entries(section.schema.properties ?? {})) {
      const item = Array.isArray(schema.items) ? undefined : (schema.items as JsonSchema | undefined);
      const inner =
        schema.properties !== undefined ? schema : item?.properties !== undefined ? item : undefined;
      if (inner !== undefined) {
        nested.push({ title: `\`${prefix}${key}${inner === item ? '[]' : ''}\``, schema: inner });
      }
      lines.push(referenceRow(key, schema, section.schema.required?.includes(key) ?? false));
    }
    lines.push('');
    sections.unshift(...nested);
  }
  return lines.join('\n');
}

function referenceRow(key: string, schema: JsonSchema, required: boolean): string {
  const fallback = required ? '**required**' : defaultText(schema);
  const meaning = (schema.description ?? '').replaceAll('|', '\\|');
  return `| \`${key}\` | ${typeText(schema)} | ${fallback} | ${meaning} |`;
}

function defaultText(schema: JsonSchema): string {
  if (schema.properties !== undefined) return '';
  // zod leaves out the default of lists whose entries are transformed; all such lists default to empty.
  if (schema.default === undefined) return schema.type === 'array' ? '`[]`' : '';
  return `\`${JSON.stringify(schema.default)}\``;
}

function typeText(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.type === 'array') {
    if (Array.isArray(schema.items)) return 'list of two numbers';
    const item = schema.items as JsonSchema;
    if (item.enum !== undefined) return 'list of format names';
    return item.properties !== undefined ? 'list' : `list of ${typeText(item)}`;
  }
  if (schema.type === 'integer' || schema.type === 'number') {
    return `${schema.type === 'integer' ? 'whole number' : 'number'}, ${schema.minimum} to ${schema.maximum}`;
  }
  return schema.type === 'object' ? 'section' : schema.type === 'string' ? 'text' : (schema.type ?? 'text');
}
