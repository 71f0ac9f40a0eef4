/**
 * Reads a configuration file: YAML, then the definition in config-schema.ts, then the checks that see the whole
 * (config-checks.ts) and the files it names (config-files.ts). Every fault says where it stands and what to do next.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import type { GatewayConfig, MediaPoolConfig } from '../gateway/config.ts';
import { fail, ok, type Result } from '../machine/machine.ts';
import { checkConfig } from './config-checks.ts';
import { checkFiles } from './config-files.ts';
import type { Findings } from './config-findings.ts';
import { type ConfigFile, configSchema } from './config-schema.ts';
import { h323Peer } from './config-schema-h323.ts';
import { familyOf, parseIp } from './config-values.ts';
import { configJsonSchema, schemaAt } from './schema.ts';
import { nearest, suggestion } from './suggest.ts';
import { type ConfigPath, type Position, YamlSource } from './yaml-source.ts';

/** One fault or warning. `path` is like `peers[0].host`, empty for the file itself. */
export interface ConfigError extends Position {
  readonly file: string;
  readonly path: string;
  /** What is wrong and what to do next. */
  readonly message: string;
}

export interface LoadedConfig {
  readonly config: GatewayConfig;
  readonly warnings: readonly ConfigError[];
  /** A finding of a later check (pair, process) with its place in the file. */
  finding(path: ConfigPath, message: string): ConfigError;
}

export interface LoadOptions {
  /** Certificates, keys: read and check them. Default true. */
  readonly files?: boolean;
  /** UTC milliseconds, for certificate expiry. Default: now. */
  readonly now?: number;
}

/** `file:line:column: path: message`. */
export function formatConfigError(error: ConfigError): string {
  const path = error.path === '' ? '' : `${error.path}: `;
  return `${error.file}:${error.line}:${error.column}: ${path}${error.message}`;
}

/** Ten thousand accounts are one and a half. */
const MAX_OCTETS = 8 * 2 ** 20;

/** Reads the file at `path`. Paths in the result are absolute. Does not throw for anything the file says. */
export function loadConfig(path: string, options: LoadOptions = {}): Result<LoadedConfig, ConfigError[]> {
  let text: string;
  try {
    const status = statSync(path);
    if (status.size > MAX_OCTETS || status.isCharacterDevice() || status.isBlockDevice()) {
      const message = `this is no configuration: a device, or more than ${MAX_OCTETS / 2 ** 20} MB`;
      return fail([{ file: path, line: 1, column: 1, path: '', message }]);
    }
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return fail([{ file: path, line: 1, column: 1, path: '', message: unreadable(error) }]);
  }
  return parseConfig(text, path, options);
}

/** Same for a text; `file` names it in faults and its folder resolves relative paths. */
export function parseConfig(
  text: string,
  file: string,
  options: LoadOptions = {},
): Result<LoadedConfig, ConfigError[]> {
  const source = new YamlSource(text);
  if (source.faults.length > 0) return fail(source.faults.map((fault) => ({ file, path: '', ...fault })));
  let value: unknown;
  try {
    value = source.value();
  } catch (error) {
    return fail([
      { file, line: 1, column: 1, path: '', message: `${(error as Error).message}; use fewer aliases` },
    ]);
  }
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) {
    const errors = parsed.error.issues.flatMap((issue) => schemaErrors(issue, value, source, file));
    return fail(errors.sort(byPosition));
  }
  const config = complete(parsed.data, dirname(resolve(file)));
  const finding = (path: ConfigPath, message: string): ConfigError => ({
    file,
    ...source.at(path),
    path: pathText(path),
    message,
  });
  const errors: ConfigError[] = [];
  const warnings: ConfigError[] = [];
  const findings: Findings = {
    error: (path, message) => errors.push(finding(path, message)),
    warning: (path, message) => warnings.push(finding(path, message)),
  };
  checkConfig(parsed.data, config, findings);
  if (options.files !== false) checkFiles(config, file, options.now ?? Date.now(), findings);
  if (errors.length > 0) return fail(errors.sort(byPosition));
  return ok({ config, warnings, finding });
}

function byPosition(a: Position, b: Position): number {
  return a.line - b.line || a.column - b.column;
}

/** `['peers', 0, 'host']` as `peers[0].host`. */
export function pathText(path: ConfigPath): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? String(step) : `${text}.${String(step)}`;
  }, '');
}

function unreadable(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  if (code === 'ENOENT')
    return 'there is no such file; write one with `voip-sgw init DIR` or correct the path';
  if (code === 'EACCES') return 'this user may not read the file; correct its owner or mode';
  if (code === 'EISDIR') return 'this is a folder; name a file in it';
  return `cannot be read (${code})`;
}

/** One issue of the schema as faults in the administrator's words. */
function schemaErrors(
  issue: z.core.$ZodIssue,
  value: unknown,
  source: YamlSource,
  file: string,
): ConfigError[] {
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(schemaAt(configJsonSchema(), issue.path)?.properties ?? {});
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return { file, ...source.atKey(path), path: pathText(path), message: unknownKey(key, known) };
    });
  }
  const here = valueAt(value, issue.path);
  return [
    {
      file,
      ...source.at(issue.path),
      path: pathText(issue.path),
      message: issueText(issue, here, source.written(issue.path)),
    },
  ];
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  const next = near === undefined ? `known here: ${known.join(', ')}` : `did you mean "${near}"?`;
  return `there is no key "${key}"; ${next}`;
}

function issueText(issue: z.core.$ZodIssue, here: unknown, written: string | undefined): string {
  if (here === undefined) {
    const key = String(issue.path.at(-1) ?? '');
    return key === ''
      ? 'the file is empty; write one with `voip-sgw init DIR`'
      : `is missing; add "${key}: ..."`;
  }
  if (here === null) {
    return issue.path.length === 0
      ? 'the file is empty; write one with `voip-sgw init DIR`'
      : 'has no value; give one or take the line out';
  }
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(issue.expected, here, written);
    case 'invalid_value': {
      const values = issue.values.map(String);
      return `"${String(here)}" is not possible; ${suggestion(String(here), values)}`;
    }
    case 'too_small':
      return range('at least', issue.minimum, issue.origin, here);
    case 'too_big':
      return range('at most', issue.maximum, issue.origin, here);
    case 'custom':
      return issue.message;
    case 'invalid_format':
      return `${typeof here === 'string' ? `"${here}" ` : ''}${issue.message}`;
    default:
      return issue.message;
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list (lines starting with "- ")',
  tuple: 'a list of two numbers, for example [16384, 32767]',
  object: 'a section of keys',
};

function wrongType(expected: string, here: unknown, written: string | undefined): string {
  if (expected === 'string' && (typeof here === 'number' || typeof here === 'boolean')) {
    return `must be text; write it in quotes: "${written ?? String(here)}"`;
  }
  const found = Array.isArray(here)
    ? 'list'
    : here === null
      ? 'nothing'
      : typeof here === 'object'
        ? 'section'
        : typeof here;
  return `must be ${TYPE_WORDS[expected] ?? expected}; here is a ${found === 'string' ? 'text' : found}`;
}

function range(word: string, limit: number | bigint, origin: string, here: unknown): string {
  if (origin === 'string') return `must have ${word} ${limit} characters; this has ${String(here).length}`;
  if (origin === 'array')
    return `must have ${word} ${limit} ${limit === 1 ? 'entry' : 'entries'}; add or remove some`;
  return `must be ${word} ${limit}; this is ${String(here)}`;
}

function valueAt(value: unknown, path: ConfigPath): unknown {
  return path.reduce<unknown>(
    (at, step) =>
      typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[step] : undefined,
    value,
  );
}

/** Fills in what depends on other keys and resolves paths against `folder`. */
function complete(file: ConfigFile, folder: string): GatewayConfig {
  const { tunnel, operator } = file;
  const at = (path: string): string => resolve(folder, path);
  const signalling = tunnel.signalling ?? { ip: '0.0.0.0', port: 7060 };
  return {
    ...file,
    tunnel: {
      ...tunnel,
      signalling,
      media: tunnel.media ?? { ip: signalling.ip, port: 7061 },
      certificate: at(tunnel.certificate ?? `pki/${file.name}.crt`),
      key: at(tunnel.key ?? `pki/${file.name}.key`),
      ca: at(tunnel.ca),
    },
    sip: {
      ...file.sip,
      listeners: file.sip.listeners.map((listener) => ({
        ...listener,
        ...(listener.certificate === undefined ? {} : { certificate: at(listener.certificate) }),
        ...(listener.key === undefined ? {} : { key: at(listener.key) }),
        ...(listener.clientCa === undefined ? {} : { clientCa: at(listener.clientCa) }),
      })),
    },
    ...(file.h323 === undefined ? {} : { h323: file.h323 }),
    media: { ...file.media, pools: file.media.pools.length > 0 ? file.media.pools : defaultPools(file) },
    peers: file.peers.map((peer) => completePeer(peer)),
    routes: file.routes.map((route) => ({ ...route, to: completeTarget(file, route.to) })),
    operator: { ...operator, socket: at(operator.socket ?? `/run/voip-sgw/${file.name}.sock`) },
    cdr: { ...file.cdr, ...(file.cdr.file === undefined ? {} : { file: at(file.cdr.file) }) },
  };
}

/** A peer nobody calls is not probed; literal addresses are canonical. */
function completePeer(peer: ConfigFile['peers'][number]): GatewayConfig['peers'][number] {
  const literal = parseIp(peer.host);
  return {
    ...peer,
    host: literal.ok ? literal.value : peer.host.replace(/\.$/, ''),
    probeSeconds: peer.host === '' || peer.protocol === 'h323' ? 0 : peer.probeSeconds,
    ...(peer.protocol === 'h323' ? { h323: peer.h323 ?? h323Peer.parse({}) } : {}),
  };
}

/** "tunnel" on a termination gateway of one site means that site. */
function completeTarget(file: ConfigFile, to: string): string {
  const only = file.tunnel.sites.length === 1 ? file.tunnel.sites[0] : undefined;
  return file.role === 'termination' && to === 'tunnel' && only !== undefined ? `tunnel:${only.name}` : to;
}

function defaultPools(file: ConfigFile): MediaPoolConfig[] {
  const pools: MediaPoolConfig[] = [];
  for (const { address, advertise } of [...file.sip.listeners, ...(file.h323?.listeners ?? [])]) {
    if (pools.some((pool) => familyOf(pool.ip) === familyOf(address.ip))) continue;
    pools.push({
      ip: address.ip,
      ...(advertise === undefined ? {} : { advertise: advertise.ip }),
      ports: [16384, 32767],
    });
  }
  return pools;
}
