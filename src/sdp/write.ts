import { latin1Bytes } from '../bytes/text.ts';
import type {
  Bandwidth,
  Connection,
  MediaDescription,
  SessionDescription,
  T38Attributes,
} from './description.ts';

/**
 * Writes a description in the order of RFC 8866 5, CRLF line ends. The caller is trusted to give fields that are valid; a control
 * character in one of them would be a smuggled line and is written as `?`.
 */
export function writeSdp(description: SessionDescription): Uint8Array {
  const o = description.origin;
  const lines = new Lines();
  lines.add('v=', '0');
  lines.add('o=', `${o.username} ${o.sessionId} ${o.version} IN IP${o.ipVersion} ${o.address}`);
  lines.add('s=', description.name);
  connection(lines, description.connection);
  bandwidths(lines, description.bandwidths);
  lines.add('t=', '0 0');
  for (const f of description.fingerprints) lines.add('a=fingerprint:', `${f.hash} ${f.value}`);
  lines.add('a=setup:', description.setup);
  lines.add('a=', description.direction);
  for (const m of description.media) media(lines, m);
  return latin1Bytes(lines.text);
}

const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;

class Lines {
  text = '';

  /** Nothing where there is no value. */
  add(name: string, value: string | number | undefined): void {
    if (value === undefined) return;
    const line = `${name}${value}`;
    this.text += `${CONTROL.test(line) ? line.replace(new RegExp(CONTROL, 'g'), '?') : line}\r\n`;
  }
}

function connection(lines: Lines, c: Connection | undefined): void {
  if (c !== undefined) lines.add('c=', `IN IP${c.ipVersion} ${c.address}`);
}

function bandwidths(lines: Lines, list: readonly Bandwidth[]): void {
  for (const b of list) lines.add('b=', `${b.type}:${b.value}`);
}

function media(lines: Lines, m: MediaDescription): void {
  const count = m.portCount === 1 ? '' : `/${m.portCount}`;
  lines.add('m=', `${m.type} ${m.port}${count} ${m.protocol} ${m.formats.join(' ')}`);
  connection(lines, m.connection);
  bandwidths(lines, m.bandwidths);
  for (const r of m.rtpMaps) {
    const channels = r.channels === 1 ? '' : `/${r.channels}`;
    lines.add('a=rtpmap:', `${r.payloadType} ${r.encoding}/${r.clockRate}${channels}`);
  }
  for (const p of m.formatParameters) lines.add('a=fmtp:', `${p.format} ${p.text}`);
  lines.add('a=ptime:', m.packetTime);
  lines.add('a=maxptime:', m.maxPacketTime);
  rtcp(lines, m);
  for (const c of m.crypto) {
    const parameters = c.sessionParameters === '' ? '' : ` ${c.sessionParameters}`;
    lines.add('a=crypto:', `${c.tag} ${c.suite} ${c.keys}${parameters}`);
  }
  for (const f of m.fingerprints) lines.add('a=fingerprint:', `${f.hash} ${f.value}`);
  lines.add('a=setup:', m.setup);
  if (m.t38 !== undefined) t38(lines, m.t38);
  lines.add('a=', m.direction);
}

function rtcp(lines: Lines, m: MediaDescription): void {
  const c = m.rtcp?.connection;
  const elsewhere = c === undefined ? '' : ` IN IP${c.ipVersion} ${c.address}`;
  if (m.rtcp !== undefined) lines.add('a=rtcp:', `${m.rtcp.port}${elsewhere}`);
  if (m.rtcpMux) lines.add('a=', 'rtcp-mux');
  if (m.voipMetrics === true) lines.add('a=', 'rtcp-xr:voip-metrics');
}

/** ITU-T T.38 D.2.1. */
function t38(lines: Lines, t: T38Attributes): void {
  lines.add('a=T38FaxVersion:', t.version);
  lines.add('a=T38MaxBitRate:', t.maxBitRate);
  lines.add('a=T38FaxRateManagement:', t.rateManagement);
  lines.add('a=T38FaxMaxBuffer:', t.maxBuffer);
  lines.add('a=T38FaxMaxDatagram:', t.maxDatagram);
  lines.add('a=T38FaxUdpEC:', t.udpEc);
  if (t.fillBitRemoval === true) lines.add('a=', 'T38FaxFillBitRemoval');
  if (t.transcodingMmr === true) lines.add('a=', 'T38FaxTranscodingMMR');
  if (t.transcodingJbig === true) lines.add('a=', 'T38FaxTranscodingJBIG');
}
