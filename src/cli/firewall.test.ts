import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import type { GatewayConfig } from '../gateway/config.ts';
import { parseConfig } from '../store/config.ts';
import { bothSections, innerSection, outerSection } from './firewall-plan.ts';
import { printSection } from './firewall-print.ts';

function config(text: string): GatewayConfig {
  const parsed = parseConfig(text, 'x.yaml', { files: false });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.value.config;
}

const RELAY = config(`role: relay
name: gw1
tunnel: {signalling: "192.0.2.10:7060", peerName: gw2}
sip: {listeners: [{name: in, transport: udp, address: "10.0.0.5:5060"}]}
peers: [{name: pbx, host: 10.0.0.20}]
`);

const TERMINATION = config(`role: termination
name: gw2
tunnel: {signalling: "192.0.2.10:7060", sites: [{name: gw1}]}
sip:
  listeners:
    - {name: u4, transport: udp, address: "198.51.100.1:5060"}
    - {name: t6, transport: tcp, address: "[2001:db8::1]:5060"}
peers:
  - {name: trunk, host: 203.0.113.7, sources: ["203.0.113.0/28"]}
  - {name: six, host: "2001:db8:9::1", port: 5080, transport: tcp}
limits: {maxCalls: 100}
`);

const H323 = config(`role: termination
name: gw2
tunnel: {signalling: "192.0.2.10:7060", sites: [{name: gw1}]}
h323:
  listeners:
    - {name: cs, transport: tcp, address: "198.51.100.1:1720"}
    - {name: ras, transport: udp, address: "198.51.100.1:1719"}
peers:
  - {name: trunk, protocol: h323, host: 203.0.113.7, h323: {gatekeeper: {host: 203.0.113.9, aliases: ["49301"]}}}
  - {name: other, protocol: h323, host: 203.0.113.20}
`);

test('H.323 at the outer firewall: 1720, RAS and the H.245 range from the peers, and out to them', () => {
  const seen = outerSection(H323)
    .permits.filter((permit) => permit.why.startsWith('H.'))
    .map(
      ({ from, to, protocol, ports }) => `${protocol} ${from.join()} > ${to.join()} ${JSON.stringify(ports)}`,
    );
  assert.deepEqual(seen, [
    'tcp 203.0.113.7,203.0.113.20 > 198.51.100.1 [[1720,1720]]',
    'tcp 203.0.113.7,203.0.113.20 > 198.51.100.1 [[30000,30999]]',
    'tcp 198.51.100.1 >  [[1024,65535]]',
    'udp 203.0.113.9 > 198.51.100.1 [[1719,1719]]',
    'udp 198.51.100.1 > 203.0.113.9 [[1719,1719]]',
  ]);
  assert.ok(!outerSection(H323).permits.some((permit) => permit.why.startsWith('SIP')));
});

describe('the inner firewall', () => {
  const section = innerSection(RELAY, {});

  test('has exactly one permit: new TCP, GW1 to GW2, two ports', () => {
    assert.equal(section.permits.length, 1);
    assert.equal(
      printSection(section, 'nftables'),
      `# Inner firewall, between DMZ and intranet.
# --relay-address was not given; the address of the first SIP listener was taken
# Load with: nft -f FILE. It drops all else that this machine forwards; on a firewall with rules of its own
# put the "accept" lines into its forward chain instead.
table inet voip_sgw_inner
delete table inet voip_sgw_inner
table inet voip_sgw_inner {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept comment "return packets of what was opened"
    ct state invalid drop
    ip saddr 10.0.0.5 ip daddr 192.0.2.10 tcp dport { 7060, 7061 } tcp flags & (fin | syn | rst | ack) == syn ct state new accept comment "relay gateway dials termination gateway: signalling and media"
  }
}
`,
    );
  });

  test('in iptables closes the other address family too', () => {
    assert.equal(
      printSection(innerSection(RELAY, { relayAddress: '10.0.0.6' }), 'iptables'),
      `# Inner firewall, between DMZ and intranet.
iptables -P FORWARD DROP
iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP
iptables -A FORWARD -s 10.0.0.6 -d 192.0.2.10 -p tcp --syn -m multiport --dports 7060,7061 -m conntrack --ctstate NEW -m comment --comment "relay gateway dials termination gateway: signalling and media" -j ACCEPT
ip6tables -P FORWARD DROP
ip6tables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
ip6tables -A FORWARD -m conntrack --ctstate INVALID -j DROP
`,
    );
  });

  test('in words', () => {
    assert.equal(
      printSection(innerSection(TERMINATION, { relayAddress: '10.0.0.5' }), 'words'),
      `Inner firewall, between DMZ and intranet
  1. Permit new TCP connections from 10.0.0.5 to 192.0.2.10 ports 7060 and 7061 (relay gateway dials termination gateway: signalling and media).
  2. Permit packets that belong to what was so permitted, both ways, and the ICMP errors about it.
  3. Drop everything else, in both directions, IPv4 and IPv6.
`,
    );
  });

  test("needs the relay gateway's address where the file does not have it, of the same family", () => {
    assert.throws(() => innerSection(TERMINATION, {}), /give --relay-address IP/);
    assert.throws(() => innerSection(TERMINATION, { relayAddress: '2001:db8::5' }), /different families/);
  });

  test('an option that is no address is refused: it would become a rule that does not load', () => {
    assert.throws(
      () => innerSection(TERMINATION, { relayAddress: 'gw1' }),
      /--relay-address: "gw1" is not an IPv4/,
    );
    const options = { relayAddress: '10.0.0.5', terminationAddress: 'accept; drop' };
    assert.throws(() => innerSection(TERMINATION, options), /--termination-address: "accept; drop" is not/);
  });

  test('media dialled at an address of its own has a permit of its own', () => {
    const tunnel = { ...RELAY.tunnel, media: { ip: '192.0.2.11', port: 7061 } };
    const { permits } = innerSection({ ...RELAY, tunnel }, {});
    assert.deepEqual(
      permits.map(({ to, ports }) => [to, ports]),
      [
        [['192.0.2.10'], [[7060, 7060]]],
        [['192.0.2.11'], [[7061, 7061]]],
      ],
    );
  });
});

describe('the outer firewall', () => {
  test('permits each listener from the peers of its family, media both ways, and what GW2 sends to its peers', () => {
    const rules = printSection(outerSection(TERMINATION), 'nftables')
      .split('\n')
      .filter((line) => line.includes('ct state new'))
      .map((line) => line.trim());
    assert.deepEqual(rules, [
      'ip saddr { 203.0.113.7, 203.0.113.0/28 } ip daddr 198.51.100.1 udp dport 5060 ct state new accept comment "SIP over UDP, listener u4"',
      'ip6 saddr 2001:db8:9::1 ip6 daddr 2001:db8::1 tcp dport 5060 tcp flags & (fin | syn | rst | ack) == syn ct state new accept comment "SIP over TCP, listener t6"',
      'ip daddr 198.51.100.1 udp dport 16384-32767 ct state new accept comment "RTP and RTCP in"',
      'ip saddr 198.51.100.1 udp sport 16384-32767 udp dport 1024-65535 ct state new accept comment "RTP and RTCP out"',
      'ip6 daddr 2001:db8::1 udp dport 16384-32767 ct state new accept comment "RTP and RTCP in"',
      'ip6 saddr 2001:db8::1 udp sport 16384-32767 udp dport 1024-65535 ct state new accept comment "RTP and RTCP out"',
      'ip saddr 198.51.100.1 ip daddr 203.0.113.7 udp sport 5060 ct state new accept comment "SIP over UDP to peers, listener u4"',
      'ip6 saddr 2001:db8::1 ip6 daddr 2001:db8:9::1 tcp dport 5080 tcp flags & (fin | syn | rst | ack) == syn ct state new accept comment "SIP over TCP to peers, listener t6"',
    ]);
  });

  test('never permits the tunnel ports', () => {
    for (const format of ['nftables', 'iptables', 'words'] as const) {
      assert.doesNotMatch(printSection(outerSection(TERMINATION), format), /\b706[01]\b/);
    }
  });

  test("is not known to a relay gateway's configuration", () => {
    assert.throws(() => outerSection(RELAY), /termination gateway's configuration/);
  });
});

describe('one firewall with three legs', () => {
  const inner = innerSection(TERMINATION, { relayAddress: '10.0.0.5' });
  const outer = outerSection(TERMINATION);

  test('closes the intranet between the one permit inward and the rules towards the Internet', () => {
    const rules = printSection(bothSections(inner, outer, ['10.0.0.0/8', 'fd00::/8']), 'nftables').split(
      '\n',
    );
    const position = (text: string): number => rules.findIndex((line) => line.includes(text));
    assert.ok(position('7060') < position('ip daddr 10.0.0.0/8 drop'));
    assert.ok(position('ip6 daddr fd00::/8 drop') < position('RTP and RTCP out'));
  });

  test('needs to know the intranet', () => {
    assert.throws(() => bothSections(inner, outer, []), /--intranet NETWORK/);
  });
});

describe('the printed rules load', () => {
  const sections = [
    innerSection(RELAY, {}),
    outerSection(TERMINATION),
    bothSections(innerSection(TERMINATION, { relayAddress: '10.0.0.5' }), outerSection(TERMINATION), [
      '10.0.0.0/8',
    ]),
  ];
  const isRoot = process.getuid?.() === 0;
  const has = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;

  const nft = isRoot && has('nft', '--version') && has('unshare', '-n', 'nft', 'list', 'tables');
  test('nft -c -f accepts them', { skip: nft ? false : 'needs root and nft' }, () => {
    for (const section of sections) {
      const input = printSection(section, 'nftables');
      const checked = spawnSync('unshare', ['-n', 'nft', '-c', '-f', '-'], { input, encoding: 'utf8' });
      assert.equal(checked.stderr, '');
      assert.equal(checked.status, 0);
    }
  });

  const iptables =
    isRoot && has('unshare', '-n', 'iptables', '-S') && has('unshare', '-n', 'ip6tables', '-S');
  test('iptables takes them', { skip: iptables ? false : 'needs root and iptables' }, () => {
    for (const section of sections) {
      const input = `set -e\n${printSection(section, 'iptables')}`;
      // In a network namespace of its own: the machine's rules stay as they are.
      const loaded = spawnSync('unshare', ['-n', 'sh'], { input, encoding: 'utf8' });
      assert.equal(loaded.stderr, '');
      assert.equal(loaded.status, 0);
    }
  });
});
