/**
 * TLS as this product uses it: two profiles. Tunnel: 1.3 only, certificates on both sides, the own CA and no other, the far
 * end's name compared exactly with what is configured, no resumption, an end at the certificate's expiry. SIP: 1.2 or
 * later, no renegotiation, client certificates where a CA for them is configured.
 */
import { constants } from 'node:crypto';
import {
  type ConnectionOptions,
  createServer,
  type PeerCertificate,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { certificateNames, matchesSipDomain } from './certificate-names.ts';
import { plainBytes, wallNow } from './providers.ts';

/** PEM text, not file names: whoever reads the files reads them all before anything changes. */
export interface TlsIdentity {
  readonly certificate: string;
  readonly key: string;
  /** Authorities whose certificates are accepted from the far end. Tunnel: required, and the only ones. */
  readonly ca?: string;
  /** Revoked certificates (PEM CRLs of that CA). */
  readonly crl?: string;
}

/** RFC 8446 7.5; label and length are part of the tunnel protocol (docs/tunnel.md). */
export const TUNNEL_EXPORTER_LABEL = 'EXPORTER-voip-sgw-tunnel';
export const TUNNEL_EXPORTER_OCTETS = 32;
/** `code` of the error where the tunnel server's certificate has another name. */
export const WRONG_NAME = 'TUNNEL_CERT_NAME';
export const HANDSHAKE_WITHIN_MS = 10_000;

function material(identity: TlsIdentity) {
  const { certificate, key, ca, crl } = identity;
  return {
    cert: certificate,
    key,
    ...(ca === undefined ? {} : { ca }),
    ...(crl === undefined ? {} : { crl }),
  };
}

function tunnelMaterial(identity: TlsIdentity) {
  // Without `ca` Node would trust every public authority.
  if (identity.ca === undefined) throw new Error('tunnel TLS needs the CA certificate');
  return {
    ...material(identity),
    minVersion: 'TLSv1.3' as const,
    maxVersion: 'TLSv1.3' as const,
    // No stateless tickets; without a session store the stateful ones of TLS 1.3 resume nothing either, so every
    // connection shows its certificate anew.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** Options of a tunnel server (signalling or media port). The client's name is checked by `tunnelPeerName`. */
export function tunnelServerOptions(identity: TlsIdentity): TlsOptions {
  return {
    ...tunnelMaterial(identity),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: HANDSHAKE_WITHIN_MS,
  };
}

/** Options of a tunnel client; add host and port, or a socket. */
export function tunnelClientOptions(identity: TlsIdentity, serverName: string): ConnectionOptions {
  return {
    ...tunnelMaterial(identity),
    servername: serverName,
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) =>
      certificateNames(certificate).dns.includes(serverName)
        ? undefined
        : Object.assign(new Error(`the tunnel server's certificate does not say ${serverName}`), {
            code: WRONG_NAME,
          }),
  };
}

/**
 * A TLS server without a port: hand it raw sockets (`server.emit('connection', socket)`), also ones that came from another
 * process with `pauseOnConnect`. Listen to `secureConnection` and `tlsClientError`; reload by `reloadTunnelServer`.
 */
export function createTunnelServer(identity: TlsIdentity): Server {
  return createServer(tunnelServerOptions(identity));
}

/** New certificate for connections from now on. Throws, and changes nothing, where the PEM text is not usable. */
export function reloadTunnelServer(server: Server, identity: TlsIdentity): void {
  server.setSecureContext(tunnelServerOptions(identity));
}

/** Which of the allowed names a connected and verified tunnel client has: exactly, from dNSName only. */
export function tunnelPeerName(socket: TLSSocket, allowed: ReadonlySet<string>): string | undefined {
  if (!socket.authorized) return undefined;
  return certificateNames(socket.getPeerCertificate()).dns.find((name) => allowed.has(name));
}

/** The connection's own secret value, known to its two ends only. */
export function tunnelExporter(socket: TLSSocket): Uint8Array {
  return plainBytes(
    socket.exportKeyingMaterial(TUNNEL_EXPORTER_OCTETS, TUNNEL_EXPORTER_LABEL, Buffer.alloc(0)),
  );
}

/** Milliseconds until the far end's certificate expires; 0 where it has, or where its date cannot be read. */
export function certificateLifetime(certificate: Partial<PeerCertificate>): number {
  const end = Date.parse(certificate.valid_to ?? '');
  return Number.isNaN(end) ? 0 : Math.max(0, end - wallNow());
}

/** Calls `expired` when the far end's certificate does. Gives a function that cancels. */
export function watchExpiry(socket: TLSSocket, expired: () => void): () => void {
  // setTimeout holds 2^31-1 ms; longer waits are cut into days.
  const day = 86_400_000;
  const certificate = socket.getPeerCertificate();
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const left = certificateLifetime(certificate);
    timer = left > 0 ? setTimeout(wait, Math.min(left, day)) : setTimeout(expired, 0);
    timer.unref();
  };
  wait();
  return () => clearTimeout(timer);
}

/** Options of a SIP TLS listener. With `ca`, clients are asked for a certificate; one that does not verify is refused. */
export function sipServerOptions(identity: TlsIdentity): TlsOptions {
  return {
    ...material(identity),
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
    honorCipherOrder: true,
    handshakeTimeout: HANDSHAKE_WITHIN_MS,
    requestCert: identity.ca !== undefined,
    // Devices without a certificate are let in (digest decides); sip-transport.ts refuses bad ones.
    rejectUnauthorized: false,
  };
}

/**
 * Options of an outgoing SIP TLS connection. `serverName`: what the certificate must say (RFC 5922 7.2); undefined: any
 * name of a certificate that verifies. Without `ca` the system's public authorities count.
 */
export function sipClientOptions(
  identity: TlsIdentity | undefined,
  serverName: string | undefined,
): ConnectionOptions {
  const isName = serverName !== undefined && /[a-z]/i.test(serverName) && !serverName.includes(':');
  return {
    ...(identity === undefined ? {} : material(identity)),
    ...(isName ? { servername: serverName } : {}),
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => {
      if (serverName === undefined || matchesSipDomain(certificateNames(certificate), serverName))
        return undefined;
      return new Error(`the certificate does not say ${serverName}`);
    },
  };
}
