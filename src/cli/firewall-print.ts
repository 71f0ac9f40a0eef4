/** Prints a firewall section as nftables, iptables or words. Default drop, return packets of what was opened, then the permits. */
import type { FirewallSection, Permit, PortRange } from './firewall-plan.ts';

export type FirewallFormat = 'nftables' | 'iptables' | 'words';

export function printSection(section: FirewallSection, format: FirewallFormat): string {
  switch (format) {
    case 'nftables':
      return nftables(section);
    case 'iptables':
      return iptables(section);
    case 'words':
      return words(section);
  }
}

function comments(section: FirewallSection): string[] {
  return [`# ${section.title}.`, ...section.notes.map((note) => `# ${note}`)];
}

/** A script for `nft -f`; loading it again replaces it. */
function nftables(section: FirewallSection): string {
  const table = `inet voip_sgw_${section.name}`;
  const lines = [
    ...comments(section),
    '# Load with: nft -f FILE. It drops all else that this machine forwards; on a firewall with rules of its own',
    '# put the "accept" lines into its forward chain instead.',
    `table ${table}`,
    `delete table ${table}`,
    `table ${table} {`,
    '  chain forward {',
    '    type filter hook forward priority filter; policy drop;',
    '    ct state established,related accept comment "return packets of what was opened"',
    '    ct state invalid drop',
    ...withClosed(section, nftRule, nftClosed).map((rule) => `    ${rule}`),
    '  }',
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

/** The rules in order, the closed networks at their place among them. */
function withClosed(
  section: FirewallSection,
  rule: (permit: Permit) => string | undefined,
  closedRules: (networks: readonly string[]) => readonly string[],
): string[] {
  const rules = section.permits.map((permit) => {
    const text = rule(permit);
    return text === undefined ? [] : [text];
  });
  const { closed } = section;
  if (closed !== undefined) rules.splice(closed.after, 0, [...closedRules(closed.networks)]);
  return rules.flat();
}

const CLOSED = 'nothing is opened towards the intranet';

function nftClosed(networks: readonly string[]): string[] {
  return ([4, 6] as const).flatMap((family) => {
    const own = ofFamily(networks, family);
    return own.length === 0
      ? []
      : [`${family === 6 ? 'ip6' : 'ip'} daddr ${nftSet(own)} drop comment "${CLOSED}"`];
  });
}

function iptablesClosed(networks: readonly string[], family: 4 | 6): string[] {
  const own = ofFamily(networks, family);
  return own.length === 0 ? [] : [`-d ${own.join(',')} -m comment --comment "${CLOSED}" -j DROP`];
}

function closedWords(networks: readonly string[]): string[] {
  return [`Drop everything else to ${networks.join(', ')}: ${CLOSED}.`];
}

function ofFamily(networks: readonly string[], family: 4 | 6): string[] {
  return networks.filter((network) => network.includes(':') === (family === 6));
}

function nftRule(permit: Permit): string {
  const ip = permit.family === 6 ? 'ip6' : 'ip';
  const parts = [
    permit.from.length > 0 ? `${ip} saddr ${nftSet(permit.from)}` : '',
    permit.to.length > 0 ? `${ip} daddr ${nftSet(permit.to)}` : '',
    // Without an address the rule must still be of its family.
    permit.from.length + permit.to.length === 0 ? `meta nfproto ipv${permit.family}` : '',
    permit.sourcePorts === undefined ? '' : `${permit.protocol} sport ${rangeText(permit.sourcePorts, '-')}`,
    permit.ports.length === 0
      ? ''
      : `${permit.protocol} dport ${nftSet(permit.ports.map((r) => rangeText(r, '-')))}`,
    permit.protocol === 'tcp' ? 'tcp flags & (fin | syn | rst | ack) == syn' : '',
    `ct state new accept comment "${permit.why}"`,
  ];
  return parts.filter((part) => part !== '').join(' ');
}

function nftSet(items: readonly string[]): string {
  return items.length === 1 ? items[0]! : `{ ${items.join(', ')} }`;
}

function rangeText([first, last]: PortRange, dash: string): string {
  return first === last ? String(first) : `${first}${dash}${last}`;
}

/** A shell script. The family that has no permit is closed too. */
function iptables(section: FirewallSection): string {
  const lines = comments(section);
  for (const family of [4, 6] as const) {
    const command = family === 6 ? 'ip6tables' : 'iptables';
    lines.push(
      `${command} -P FORWARD DROP`,
      `${command} -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`,
      `${command} -A FORWARD -m conntrack --ctstate INVALID -j DROP`,
    );
    const rules = withClosed(
      section,
      (permit) => (permit.family === family ? iptablesRule(permit) : undefined),
      (closed) => iptablesClosed(closed, family),
    );
    lines.push(...rules.map((rule) => `${command} -A FORWARD ${rule}`));
  }
  return `${lines.join('\n')}\n`;
}

function iptablesRule(permit: Permit): string {
  const ports = permit.ports.map((range) => rangeText(range, ':')).join(',');
  const destination = permit.ports.length > 1 ? `-m multiport --dports ${ports}` : `--dport ${ports}`;
  const parts = [
    permit.from.length > 0 ? `-s ${permit.from.join(',')}` : '',
    permit.to.length > 0 ? `-d ${permit.to.join(',')}` : '',
    `-p ${permit.protocol}`,
    permit.protocol === 'tcp' ? '--syn' : '',
    permit.sourcePorts === undefined ? '' : `--sport ${rangeText(permit.sourcePorts, ':')}`,
    permit.ports.length === 0 ? '' : destination,
    `-m conntrack --ctstate NEW -m comment --comment "${permit.why}" -j ACCEPT`,
  ];
  return parts.filter((part) => part !== '').join(' ');
}

function words(section: FirewallSection): string {
  const permits = withClosed(section, permitWords, closedWords);
  const lines = [
    `${section.title}`,
    ...[
      ...permits,
      'Permit packets that belong to what was so permitted, both ways, and the ICMP errors about it.',
      'Drop everything else, in both directions, IPv4 and IPv6.',
    ].map((sentence, index) => `  ${index + 1}. ${sentence}`),
    ...section.notes.map((note) => `  Note: ${note}.`),
  ];
  return `${lines.join('\n')}\n`;
}

function permitWords(permit: Permit): string {
  const what = permit.protocol === 'tcp' ? 'new TCP connections' : 'UDP packets';
  const anybody = `anywhere (IPv${permit.family})`;
  const from = permit.from.length === 0 ? anybody : permit.from.join(', ');
  const source = permit.sourcePorts === undefined ? '' : ` port ${rangeText(permit.sourcePorts, ' to ')}`;
  const to = permit.to.length === 0 ? anybody : permit.to.join(', ');
  const ports =
    permit.ports.length === 0
      ? ', any port'
      : ` port${permit.ports.length > 1 ? 's' : ''} ${permit.ports.map((range) => rangeText(range, ' to ')).join(' and ')}`;
  return `Permit ${what} from ${from}${source} to ${to}${ports} (${permit.why}).`;
}
