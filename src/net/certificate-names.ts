import type { PeerCertificate } from 'node:tls';

export interface CertificateNames {
  /** dNSName entries, lower case. */
  readonly dns: readonly string[];
  readonly uris: readonly string[];
  readonly ips: readonly string[];
  readonly commonName?: string;
}

/**
 * Names of a verified certificate. Node's text form quotes entries with odd characters (CVE-2021-44532); a quoted entry is
 * dropped, since no name that anybody configures needs quoting.
 */
export function certificateNames(certificate: Partial<PeerCertificate>): CertificateNames {
  const dns: string[] = [];
  const uris: string[] = [];
  const ips: string[] = [];
  for (const entry of splitAltNames(certificate.subjectaltname ?? '')) {
    const colon = entry.indexOf(':');
    const type = entry.slice(0, colon);
    const value = entry.slice(colon + 1);
    if (value.includes('"')) continue;
    if (type === 'DNS') dns.push(value.toLowerCase());
    else if (type === 'URI') uris.push(value);
    else if (type === 'IP Address') ips.push(value);
  }
  // Two common names are one too many to trust either.
  const commonName: unknown = certificate.subject?.CN;
  return { dns, uris, ips, ...(typeof commonName === 'string' ? { commonName } : {}) };
}

/** Splits at ", " outside quotes. */
function splitAltNames(text: string): string[] {
  const entries: string[] = [];
  let quoted = false;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\' && quoted) i++;
    else if (text[i] === '"') quoted = !quoted;
    else if (!quoted && text.startsWith(', ', i)) {
      entries.push(text.slice(start, i));
      start = i + 2;
    }
  }
  if (start < text.length) entries.push(text.slice(start));
  return entries;
}

/** SANs and, where there are none, the common name: what a SIP peer's `certificateName` is compared with. */
export function flatNames(names: CertificateNames): string[] {
  const all = [...names.dns, ...names.uris, ...names.ips];
  return all.length === 0 && names.commonName !== undefined ? [names.commonName.toLowerCase()] : all;
}

/**
 * RFC 5922 7.1 and 7.2: a SIP domain certificate matches by `sip:` URI or dNSName, exactly (no wildcard, 7.2);
 * the common name counts only where the certificate has neither.
 */
export function matchesSipDomain(names: CertificateNames, host: string): boolean {
  const wanted = host.toLowerCase();
  if (names.ips.includes(wanted)) return true;
  const sipUris = names.uris.filter((uri) => /^sip:/i.test(uri)).map((uri) => uri.slice(4).toLowerCase());
  if (sipUris.length > 0) return sipUris.includes(wanted);
  if (names.dns.length > 0) return names.dns.includes(wanted);
  return names.commonName?.toLowerCase() === wanted;
}
