import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import {
  createAuthority,
  isIssuedBy,
  issueCertificate,
  type KeyedCertificate,
  renewCertificate,
  writeFileAtomically,
  writeKeyed,
} from './pki.ts';

/** One mutual TLS 1.3 handshake on loopback. Resolves to the names both sides saw, rejects where either refuses. */
function handshake(
  server: KeyedCertificate,
  client: KeyedCertificate,
  ca: string,
  servername: string,
): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const listener = createServer({
      cert: server.certificate,
      key: server.key,
      ca,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
    });
    const end = (error: Error | undefined, names: string[] = []): void => {
      socket?.destroy();
      listener.close();
      if (error === undefined) resolve(names);
      else reject(error);
    };
    let socket: TLSSocket | undefined;
    listener.on('tlsClientError', (error) => end(error));
    listener.on('secureConnection', (accepted) => {
      const fromServer = accepted.getPeerCertificate().subjectaltname ?? '';
      accepted.on('error', () => undefined);
      end(undefined, [socket?.getPeerCertificate().subjectaltname ?? '', fromServer]);
    });
    listener.listen(0, '127.0.0.1', () => {
      const { port } = listener.address() as AddressInfo;
      const { certificate: cert, key } = client;
      socket = connect({ host: '127.0.0.1', port, ca, cert, key, servername, minVersion: 'TLSv1.3' });
      socket.on('error', (error) => end(error));
    });
  });
}

describe('the private CA', async () => {
  const authority = await createAuthority('test CA');
  const gw2 = await issueCertificate(authority, { use: 'termination', dnsNames: ['gw2'] });
  const gw1 = await issueCertificate(authority, { use: 'relay', dnsNames: ['gw1'] });

  test('certificates of both roles complete a mutual TLS 1.3 handshake, each seeing the other name', async () => {
    assert.deepEqual(await handshake(gw2, gw1, authority.certificate, 'gw2'), ['DNS:gw2', 'DNS:gw1']);
  });

  test('a server of another name is refused by the client (RFC 6125)', async () => {
    await assert.rejects(handshake(gw2, gw1, authority.certificate, 'gw3'), /altnames/);
  });

  test('a client of another CA is refused by the server', async () => {
    const stranger = await issueCertificate(await createAuthority('test CA'), {
      use: 'relay',
      dnsNames: ['gw1'],
    });
    await assert.rejects(handshake(gw2, stranger, authority.certificate, 'gw2'));
  });

  test('a relay certificate cannot serve: its extended key usage is for clients (RFC 5280 4.2.1.12)', async () => {
    await assert.rejects(
      handshake(gw1, gw1, authority.certificate, 'gw1'),
      /uns(uit|upport)[a-z]+ certificate purpose/,
    );
  });

  test('the CA may sign leaves only, for 10 years; leaves live one year and not past their CA', async () => {
    const ca = new X509Certificate(authority.certificate);
    const leaf = new X509Certificate(gw2.certificate);
    const days = (certificate: X509Certificate): number =>
      Math.floor((Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 86_400_000);
    assert.equal(ca.ca, true);
    assert.equal(leaf.ca, false);
    assert.equal(days(ca), 3650);
    assert.equal(days(leaf), 365);
    const short = await createAuthority('short', { days: 10 });
    const clipped = await issueCertificate(short, { use: 'relay', dnsNames: ['x'] });
    const to = (pem: string): string => new X509Certificate(pem).validTo;
    assert.equal(to(clipped.certificate), to(short.certificate));
  });

  test('a SIP certificate serves and dials, with names and addresses', async () => {
    const sip = await issueCertificate(authority, {
      use: 'sip',
      dnsNames: ['example.com'],
      ips: ['192.0.2.1', '2001:db8::1'],
    });
    const certificate = new X509Certificate(sip.certificate);
    assert.equal(certificate.checkIP('192.0.2.1'), '192.0.2.1');
    assert.equal(certificate.checkIP('2001:db8::1'), '2001:db8::1');
    assert.equal(certificate.checkHost('example.com'), 'example.com');
    await handshake(sip, sip, authority.certificate, 'example.com');
  });

  test('renewal keeps names and use and changes key and serial number', async () => {
    const renewed = await renewCertificate(authority, gw1.certificate, { days: 30 });
    const before = new X509Certificate(gw1.certificate);
    const after = new X509Certificate(renewed.certificate);
    assert.equal(after.subjectAltName, before.subjectAltName);
    assert.deepEqual(after.keyUsage, before.keyUsage);
    assert.notEqual(after.serialNumber, before.serialNumber);
    assert.notEqual(renewed.key, gw1.key);
    assert.deepEqual(await handshake(gw2, renewed, authority.certificate, 'gw2'), ['DNS:gw2', 'DNS:gw1']);
  });

  test('issued means signed, not only named: a CA of the same name did not issue it', async () => {
    assert.equal(isIssuedBy(gw1.certificate, authority.certificate), true);
    assert.equal(isIssuedBy(gw1.certificate, (await createAuthority('test CA')).certificate), false);
  });

  test('keys are written 0600 whatever the umask, certificates 0644, replacing at once', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sgw-pki-'));
    const umask = process.umask(0);
    try {
      writeFileSync(join(folder, 'a.key'), 'old', { mode: 0o666 });
      writeKeyed(gw1, join(folder, 'a.crt'), join(folder, 'a.key'));
      assert.equal(statSync(join(folder, 'a.key')).mode & 0o777, 0o600);
      assert.equal(statSync(join(folder, 'a.crt')).mode & 0o777, 0o644);
      assert.equal(readFileSync(join(folder, 'a.key'), 'utf8'), gw1.key);
      process.umask(0o077);
      writeFileAtomically(join(folder, 'b'), 'text', 0o644);
      assert.equal(statSync(join(folder, 'b')).mode & 0o777, 0o644);
    } finally {
      process.umask(umask);
      rmSync(folder, { recursive: true });
    }
  });
});
