/** Via (RFC 3261 20.42, 18.2.1; rport RFC 3581; address literals RFC 5118). */
import type { Writable } from '../../machine/machine.ts';
import { canonicalIp, formatHost, type HostPort, parseHostPort } from '../host.ts';
import { SIP_LIMITS, type Via } from '../message.ts';
import { formatParameters } from './parameters.ts';
import { Scanner } from './scanner.ts';

/** Appends the elements of one Via header to `out`; false where one is malformed or SIP_LIMITS.vias is passed. */
export function parseVias(text: string, out: Via[]): boolean {
  const scanner = new Scanner(text);
  do {
    const via = scanVia(scanner);
    if (via === undefined || out.length >= SIP_LIMITS.vias) return false;
    out.push(via);
  } while (scanner.separator(0x2c));
  return scanner.done;
}

/** The transport in upper case, undefined where the value does not begin with `SIP/2.0/transport LWS`. */
function scanProtocol(scanner: Scanner): string | undefined {
  scanner.space();
  if (scanner.text.startsWith('SIP/2.0/', scanner.at)) scanner.at += 8;
  else {
    if (scanner.token().toUpperCase() !== 'SIP' || !scanner.separator(0x2f)) return undefined;
    if (scanner.token() !== '2.0' || !scanner.separator(0x2f)) return undefined;
  }
  scanner.space();
  const transport = scanner.token();
  const before = scanner.at;
  scanner.space();
  if (transport === '' || scanner.at === before) return undefined;
  return transport === 'UDP' ? transport : transport.toUpperCase();
}

function scanVia(scanner: Scanner): Via | undefined {
  const transport = scanProtocol(scanner);
  if (transport === undefined) return undefined;
  const sentBy = scanSentBy(scanner);
  const parameters = scanner.parameters();
  if (sentBy === undefined || parameters === undefined) return undefined;
  const branch = parameters.get('branch') ?? '';
  if (branch.length > SIP_LIMITS.branchBytes) return undefined;
  const via: Writable<Via> = {
    transport,
    host: sentBy.host,
    branch,
    parameters,
  };
  if (sentBy.port !== undefined) via.port = sentBy.port;
  const rport = parameters.get('rport');
  if (rport !== undefined) {
    if (rport !== '' && (!/^\d{1,5}$/.test(rport) || Number(rport) > 65_535)) return undefined;
    const port = Number(rport);
    via.rport = port;
  }
  const received = parameters.get('received');
  if (received !== undefined) {
    // RFC 5118 4.5: an IPv6 address here may stand with or without brackets.
    const bracketed = received.startsWith('[') && received.endsWith(']');
    const ip = canonicalIp(bracketed ? received.slice(1, -1) : received);
    if (ip === undefined) return undefined;
    via.received = ip;
  }
  const maddr = parameters.get('maddr');
  if (maddr !== undefined) via.maddr = maddr;
  return via;
}

/** `host [ COLON port ]`, where COLON may have white space around it. */
function scanSentBy(scanner: Scanner): HostPort | undefined {
  const from = scanner.at;
  const to = scanner.skipValue();
  scanner.space();
  const open = scanner.text.charCodeAt(to - 1) === 0x3a;
  if (!open && scanner.peek() !== 0x3a) return parseHostPort(scanner.text, from, to);
  if (!open) scanner.at++;
  scanner.space();
  return parseHostPort(`${scanner.text.slice(from, to)}${open ? '' : ':'}${scanner.value()}`);
}

/** Writes the fields and the remaining parameters in their order; `rport` 0 as a bare flag. */
export function formatVia(via: Via): string {
  const { transport, host, port, branch, rport, received, maddr, parameters } = via;
  const fields: readonly (readonly [string, string | undefined])[] = [
    ['branch', branch === '' ? undefined : branch],
    ['rport', rport === undefined ? undefined : rport === 0 ? '' : String(rport)],
    ['received', received],
    ['maddr', maddr],
  ];
  const all: (readonly [string, string])[] = [];
  for (const pair of parameters) {
    const value = fields.find(([name]) => name === pair[0])?.[1];
    all.push(value === undefined ? pair : [pair[0], value]);
  }
  for (const [name, value] of fields)
    if (value !== undefined && !parameters.has(name)) all.push([name, value]);
  const sentBy = port === undefined ? formatHost(host) : `${formatHost(host)}:${port}`;
  return `SIP/2.0/${transport} ${sentBy}${formatParameters(all)}`;
}
