/** Certificates and keys of a configuration, read together, so that a reload takes all or nothing. */
import { readFileSync } from 'node:fs';
import type { GatewayConfig, ListenerConfig } from '../gateway/config.ts';
import type { TlsIdentity } from '../net/tls.ts';

export interface Identities {
  readonly tunnel: TlsIdentity;
  /** By listener name; TLS listeners only. */
  readonly listeners: ReadonlyMap<string, TlsIdentity>;
}

/** Paths are absolute already (store/config.ts). Throws the system's error, which names the file. */
export function readIdentities(config: GatewayConfig): Identities {
  const { certificate, key, ca } = config.tunnel;
  return {
    tunnel: { certificate: read(certificate), key: read(key), ca: read(ca) },
    listeners: new Map(
      config.sip.listeners.flatMap((l) => (l.transport === 'tls' ? [[l.name, listener(l)] as const] : [])),
    ),
  };
}

function listener(l: ListenerConfig): TlsIdentity {
  return {
    certificate: read(l.certificate ?? ''),
    key: read(l.key ?? ''),
    ...(l.clientCa === undefined ? {} : { ca: read(l.clientCa) }),
  };
}

function read(path: string): string {
  return readFileSync(path, 'utf8');
}
