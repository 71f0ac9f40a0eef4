import { constants } from 'node:crypto';
import type { ConnectionOptions, TlsOptions } from 'node:tls';
import type { Address } from '../machine/address.ts';

/** PEM text, handed to the worker by main at start and on reload; never on disk here. */
export interface TlsMaterial {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
}

/** AES-128-GCM first: the cheapest per packet where AES instructions exist. */
const CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
const HANDSHAKE_MS = 5000;

function common(material: TlsMaterial) {
  return {
    cert: material.certificate,
    key: material.key,
    ca: material.ca,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    rejectUnauthorized: true,
    // No session tickets on the tunnel: every lane proves its certificate anew.
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const;
}

/** The name in the server's certificate is checked by tls.connect against `serverName`. */
export function clientOptions(material: TlsMaterial, remote: Address, serverName: string): ConnectionOptions {
  return { ...common(material), host: remote.ip, port: remote.port, servername: serverName };
}

/** The client's name is checked later, against the session its hello names. */
export function serverOptions(material: TlsMaterial): TlsOptions {
  return { ...common(material), requestCert: true, handshakeTimeout: HANDSHAKE_MS };
}
