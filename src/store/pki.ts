/**
 * A private CA and the certificates of the gateways (ECDSA P-256, RFC 5280). The CA key stays off both gateways;
 * every key is written with mode 0600 from its first octet on.
 */
import 'reflect-metadata';
import { X509Certificate as NodeCertificate, webcrypto } from 'node:crypto';
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

type CryptoKey = webcrypto.CryptoKey;

export interface KeyedCertificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

/** What a certificate is for: the extended key usages it gets (RFC 5280 4.2.1.12). */
export type CertificateUse = 'termination' | 'relay' | 'sip';

export interface LeafOptions {
  readonly use: CertificateUse;
  /** DNS names; the first is the subject's common name. At least one. */
  readonly dnsNames: readonly string[];
  readonly ips?: readonly string[];
  /** Validity; default 365. */
  readonly days?: number;
  /** UTC milliseconds; default now. */
  readonly now?: number;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY = 86_400_000;
/** Clocks of the machines may differ a little when the certificate is used at once. */
const BACKDATE = 3_600_000;

const USAGES: Readonly<Record<CertificateUse, ExtendedKeyUsage[]>> = {
  termination: [ExtendedKeyUsage.serverAuth],
  relay: [ExtendedKeyUsage.clientAuth],
  // A SIP element is server and client of TLS (RFC 5922 section 4 names no usage it would refuse).
  sip: [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth],
};

/** A self-signed CA that may issue leaves only. `days` default 3650. */
export async function createAuthority(
  name: string,
  options: { readonly days?: number; readonly now?: number } = {},
): Promise<KeyedCertificate> {
  const keys = await generateKeys();
  const now = options.now ?? Date.now();
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: [{ CN: [name] }],
      notBefore: new Date(now - BACKDATE),
      notAfter: new Date(now + (options.days ?? 3650) * DAY),
      signingAlgorithm: ALGORITHM,
      keys: keys as never,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey as never, false, webcrypto as never),
      ],
    },
    webcrypto as never,
  );
  return { certificate: pem(certificate), key: await keyPem(keys.privateKey) };
}

/** A certificate issued by `authority` with a key of its own. Never outlives the authority. */
export async function issueCertificate(
  authority: KeyedCertificate,
  options: LeafOptions,
): Promise<KeyedCertificate> {
  const [commonName] = options.dnsNames;
  if (commonName === undefined) throw new TypeError('a certificate needs a DNS name');
  const issuer = new X509Certificate(authority.certificate);
  const keys = await generateKeys();
  const now = options.now ?? Date.now();
  const names: JsonGeneralName[] = [
    ...options.dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...(options.ips ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension(USAGES[options.use]),
    new SubjectAlternativeNameExtension(names),
    await SubjectKeyIdentifierExtension.create(keys.publicKey as never, false, webcrypto as never),
    await AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto as never),
  ];
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: [{ CN: [commonName] }],
      issuer: issuer.subjectName,
      notBefore: new Date(Math.max(now - BACKDATE, issuer.notBefore.getTime())),
      notAfter: new Date(Math.min(now + (options.days ?? 365) * DAY, issuer.notAfter.getTime())),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey as never,
      signingKey: (await importKey(authority.key)) as never,
      extensions,
    },
    webcrypto as never,
  );
  return { certificate: pem(certificate), key: await keyPem(keys.privateKey) };
}

/** A new certificate and key with the names and use of `old`. */
export async function renewCertificate(
  authority: KeyedCertificate,
  old: string,
  options: { readonly days?: number; readonly now?: number } = {},
): Promise<KeyedCertificate> {
  const certificate = new X509Certificate(old);
  const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const usages = certificate.getExtension(ExtendedKeyUsageExtension)?.usages ?? [];
  const server = usages.includes(ExtendedKeyUsage.serverAuth);
  const client = usages.includes(ExtendedKeyUsage.clientAuth);
  const valuesOf = (type: string): string[] =>
    names.filter((name) => name.type === type).map((name) => name.value);
  return issueCertificate(authority, {
    use: server && client ? 'sip' : client ? 'relay' : 'termination',
    dnsNames: valuesOf('dns'),
    ips: valuesOf('ip'),
    ...options,
  });
}

/** True where the PEM certificate was signed by the authority (its signature, not only its name). */
export function isIssuedBy(certificate: string, authority: string): boolean {
  const leaf = new NodeCertificate(certificate);
  const issuer = new NodeCertificate(authority);
  return leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey);
}

/** Writes or replaces a file at once (write beside it, rename): a reader sees the old or the new one, never half. */
export function writeFileAtomically(path: string, text: string, mode: number): void {
  const beside = `${path}.${process.pid}.new`;
  writeFileSync(beside, text, { mode, flag: 'wx' });
  // The umask may have taken rights away that the caller asked for.
  chmodSync(beside, mode);
  renameSync(beside, path);
}

export function writeKeyed(keyed: KeyedCertificate, certificatePath: string, keyPath: string): void {
  writeFileAtomically(keyPath, keyed.key, 0o600);
  writeFileAtomically(certificatePath, keyed.certificate, 0o644);
}

export function readKeyed(certificatePath: string, keyPath: string): KeyedCertificate {
  return { certificate: readFileSync(certificatePath, 'utf8'), key: readFileSync(keyPath, 'utf8') };
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function importKey(text: string): Promise<CryptoKey> {
  const der = PemConverter.decodeFirst(text);
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}

async function keyPem(key: CryptoKey): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

/** 16 random octets, positive (RFC 5280 4.1.2.2: at most 20). */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}
