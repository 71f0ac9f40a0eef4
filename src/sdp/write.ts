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
  const lines = [
    'v=0',
    `o=${o.username} ${o.sessionId} ${o.version} IN IP${o.ipVersion} ${o.address}`,
    `s=${description.name}`,
    ...connection(description.connection),
    ...bandwidths(description.bandwidths),
    't=0 0',
    ...description.fingerprints.map((f) => `a=fingerprint:${f.hash} ${f.value}`),
    ...(description.setup === undefined ? [] : [`a=setup:${description.setup}`]),
    ...(description.direction === undefined ? [] : [`a=${description.direction}`]),
    ...description.media.flatMap(media),
  ];
  return latin1Bytes(lines.map((line) => `${line.replace(/[\x00-\x08\x0a-\x1f\x7f]/g, '?')}\r\n`).join(''));
}

function connection(c: Connection | undefined): string[] {
  return c === undefined ? [] : [`c=IN IP${c.ipVersion} ${c.address}`];
}

function bandwidths(list: readonly Bandwidth[]): string[] {
  return list.map((b) => `b=${b.type}:${b.value}`);
}

function media(m: MediaDescription): string[] {
  const count = m.portCount === 1 ? '' : `/${m.portCount}`;
  return [
    `m=${m.type} ${m.port}${count} ${m.protocol} ${m.formats.join(' ')}`,
    ...connection(m.connection),
    ...bandwidths(m.bandwidths),
    ...m.rtpMaps.map(
      (r) =>
        `a=rtpmap:${r.payloadType} ${r.encoding}/${r.clockRate}${r.channels === 1 ? '' : `/${r.channels}`}`,
    ),
    ...m.formatParameters.map((p) => `a=fmtp:${p.format} ${p.text}`),
    ...(m.packetTime === undefined ? [] : [`a=ptime:${m.packetTime}`]),
    ...(m.maxPacketTime === undefined ? [] : [`a=maxptime:${m.maxPacketTime}`]),
    ...rtcp(m),
    ...(m.rtcpMux ? ['a=rtcp-mux'] : []),
    ...(m.voipMetrics === true ? ['a=rtcp-xr:voip-metrics'] : []),
    ...m.crypto.map(
      (c) =>
        `a=crypto:${c.tag} ${c.suite} ${c.keys}${c.sessionParameters === '' ? '' : ` ${c.sessionParameters}`}`,
    ),
    ...m.fingerprints.map((f) => `a=fingerprint:${f.hash} ${f.value}`),
    ...(m.setup === undefined ? [] : [`a=setup:${m.setup}`]),
    ...(m.t38 === undefined ? [] : t38(m.t38)),
    ...(m.direction === undefined ? [] : [`a=${m.direction}`]),
  ];
}

function rtcp(m: MediaDescription): string[] {
  if (m.rtcp === undefined) return [];
  const c = m.rtcp.connection;
  return [`a=rtcp:${m.rtcp.port}${c === undefined ? '' : ` IN IP${c.ipVersion} ${c.address}`}`];
}

/** ITU-T T.38 D.2.1. */
function t38(t: T38Attributes): string[] {
  return [
    ...(t.version === undefined ? [] : [`a=T38FaxVersion:${t.version}`]),
    ...(t.maxBitRate === undefined ? [] : [`a=T38MaxBitRate:${t.maxBitRate}`]),
    ...(t.rateManagement === undefined ? [] : [`a=T38FaxRateManagement:${t.rateManagement}`]),
    ...(t.maxBuffer === undefined ? [] : [`a=T38FaxMaxBuffer:${t.maxBuffer}`]),
    ...(t.maxDatagram === undefined ? [] : [`a=T38FaxMaxDatagram:${t.maxDatagram}`]),
    ...(t.udpEc === undefined ? [] : [`a=T38FaxUdpEC:${t.udpEc}`]),
    ...(t.fillBitRemoval === true ? ['a=T38FaxFillBitRemoval'] : []),
    ...(t.transcodingMmr === true ? ['a=T38FaxTranscodingMMR'] : []),
    ...(t.transcodingJbig === true ? ['a=T38FaxTranscodingJBIG'] : []),
  ];
}
