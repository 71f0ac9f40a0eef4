import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls';
import type { Address } from '../machine/address.ts';
import { plainBytes } from '../net/providers.ts';
import { type TlsIdentity, tunnelClientOptions, tunnelServerOptions } from '../net/tls.ts';
import { LANE_EXPORTER_LABEL, LANE_EXPORTER_LENGTH } from '../tunnel/lane-hello.ts';

/** The tunnel's TLS profile (net/tls.ts) with AES-128-GCM first: the cheapest per packet where AES instructions exist. */
export const LANE_CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

export function laneClientOptions(
  identity: TlsIdentity,
  remote: Address,
  serverName: string,
): ConnectionOptions {
  const profile = tunnelClientOptions(identity, serverName);
  return { ...profile, ciphers: LANE_CIPHERS, host: remote.ip, port: remote.port };
}

export function laneServerOptions(identity: TlsIdentity): TlsOptions {
  return { ...tunnelServerOptions(identity), ciphers: LANE_CIPHERS };
}

/** The connection's secret that the lane hello is bound to. Its label keeps it apart from the signalling connection's. */
export function laneExporter(socket: TLSSocket): Uint8Array {
  return plainBytes(socket.exportKeyingMaterial(LANE_EXPORTER_LENGTH, LANE_EXPORTER_LABEL, Buffer.alloc(0)));
}
