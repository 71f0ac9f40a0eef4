/** Checks the files a configuration names: there, readable, private where they are secret, and certificates that fit. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { GatewayConfig } from '../gateway/config.ts';
import type { Findings } from './config-findings.ts';
import type { ConfigPath } from './yaml-source.ts';

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const DAY = 86_400_000;

/** `now`: UTC milliseconds. `file`: the configuration file itself, which may hold passwords. */
export function checkFiles(config: GatewayConfig, file: string, now: number, findings: Findings): void {
  checkTunnelFiles(config, now, findings);
  config.sip.listeners.forEach((listener, index) => {
    const path = ['sip', 'listeners', index];
    if (listener.certificate !== undefined && listener.key !== undefined) {
      checkKeyPair(path, listener.certificate, listener.key, now, findings);
    }
    if (listener.clientCa !== undefined) readCertificates([...path, 'clientCa'], listener.clientCa, findings);
  });
  if (config.accounts.length > 0 || config.peers.some((peer) => peer.credentials !== undefined)) {
    const mode = modeOf(file);
    if (mode !== undefined && (mode & 0o077) !== 0) {
      findings.warning(
        [],
        `holds passwords and others may read it (mode ${octal(mode)}); run: chmod 600 ${file}`,
      );
    }
  }
}

function checkTunnelFiles(config: GatewayConfig, now: number, findings: Findings): void {
  const { tunnel, role, name } = config;
  const certificate = checkKeyPair(['tunnel'], tunnel.certificate, tunnel.key, now, findings);
  const authorities = readCertificates(['tunnel', 'ca'], tunnel.ca, findings);
  if (certificate === undefined || authorities === undefined) return;
  const path = ['tunnel', 'certificate'];
  if (certificate.checkHost(name, { subject: 'never' }) === undefined) {
    findings.error(
      path,
      `${tunnel.certificate} is not for "${name}" (${certificate.subjectAltName ?? 'no names'}); correct "name" or issue one with: voip-sgw certificate ${name}`,
    );
  }
  if (
    !authorities.some(
      (authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
    )
  ) {
    findings.error(
      path,
      `${tunnel.certificate} was not issued by ${tunnel.ca}; both gateways need certificates of that CA`,
    );
  }
  const needed = role === 'termination' ? SERVER_AUTH : CLIENT_AUTH;
  // Node names the extended key usage `keyUsage`; without the extension every use is allowed.
  const usages: readonly string[] | undefined = certificate.keyUsage;
  if (usages !== undefined && !usages.includes(needed)) {
    findings.error(
      path,
      `${tunnel.certificate} may not be used by a TLS ${role === 'termination' ? 'server' : 'client'}; issue one for the role "${role}"`,
    );
  }
  authorities.forEach((authority) => {
    checkDates(['tunnel', 'ca'], tunnel.ca, authority, now, findings);
  });
}

/** Reads both files and checks that they belong together. Returns the certificate where it could be read. */
function checkKeyPair(
  path: ConfigPath,
  certificateFile: string,
  keyFile: string,
  now: number,
  findings: Findings,
): X509Certificate | undefined {
  const key = readKey([...path, 'key'], keyFile, findings);
  const certificate = readCertificates([...path, 'certificate'], certificateFile, findings)?.[0];
  if (certificate === undefined) return undefined;
  if (key !== undefined && !certificate.checkPrivateKey(key)) {
    findings.error(
      [...path, 'key'],
      `${keyFile} is not the key of ${certificateFile}; give the pair that was issued together`,
    );
  }
  checkDates([...path, 'certificate'], certificateFile, certificate, now, findings);
  return certificate;
}

function checkDates(
  path: ConfigPath,
  file: string,
  certificate: X509Certificate,
  now: number,
  findings: Findings,
): void {
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  if (now < from) findings.error(path, `${file} is valid only from ${day(from)}; check this machine's clock`);
  else if (now > to) findings.error(path, `${file} expired on ${day(to)}; run: voip-sgw renew`);
  else if (now > to - 30 * DAY) findings.warning(path, `${file} expires on ${day(to)}; run: voip-sgw renew`);
}

function readKey(path: ConfigPath, file: string, findings: Findings): KeyObject | undefined {
  const mode = modeOf(file);
  if (mode !== undefined && (mode & 0o077) !== 0) {
    findings.error(path, `others may read ${file} (mode ${octal(mode)}); run: chmod 600 ${file}`);
  }
  const pem = readPem(path, file, findings);
  if (pem === undefined) return undefined;
  try {
    return createPrivateKey(pem);
  } catch {
    findings.error(
      path,
      `${file} holds no usable PEM private key (encrypted keys are not supported); issue a new one`,
    );
    return undefined;
  }
}

/** All certificates of a PEM file, at least one. */
function readCertificates(
  path: ConfigPath,
  file: string,
  findings: Findings,
): readonly X509Certificate[] | undefined {
  const pem = readPem(path, file, findings);
  if (pem === undefined) return undefined;
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length > 0) return blocks.map((block) => new X509Certificate(block));
  } catch {
    // Falls through to the one message for both: nothing usable in the file.
  }
  findings.error(
    path,
    `${file} holds no PEM certificate; give the file that has -----BEGIN CERTIFICATE-----`,
  );
  return undefined;
}

function readPem(path: ConfigPath, file: string, findings: Findings): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const next = code === 'EACCES' ? 'correct its owner or mode' : 'correct the path or run: voip-sgw init';
    findings.error(
      path,
      `${file} ${code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`}; ${next}`,
    );
    return undefined;
  }
}

function modeOf(file: string): number | undefined {
  try {
    return statSync(file).mode & 0o777;
  } catch {
    return undefined;
  }
}

function octal(mode: number): string {
  return `0${mode.toString(8)}`;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
