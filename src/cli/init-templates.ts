/** The two configurations `voip-sgw init` writes: small, commented, and accepted by `voip-sgw check` as they are. */
import { formatAddress } from '../machine/address.ts';

export interface InitPlan {
  readonly terminationName: string;
  readonly relayName: string;
  /** GW2's inner address. */
  readonly terminationAddress: string;
  readonly signallingPort: number;
  readonly mediaPort: number;
  /** GW2's outer address, and as the Internet sees it where that differs. */
  readonly internet: string;
  readonly publicAddress?: string;
  readonly relayAddress: string;
  readonly relayPort: number;
  readonly relayPool: readonly [number, number];
  readonly pbxHost: string;
  readonly pbxPort: number;
  readonly pbxNetworks: readonly string[];
  readonly trunkHost?: string;
  readonly trunkPort?: number;
  readonly trunkNetworks: readonly string[];
  readonly domain: string;
  readonly userPassword: string;
}

const EDITOR = '# yaml-language-server: $schema=./voip-sgw.schema.json';

export function terminationYaml(plan: InitPlan): string {
  const { internet, publicAddress } = plan;
  const listener = (name: string, transport: string, port: number): string[] => [
    `    - name: ${name}`,
    `      transport: ${transport}`,
    `      address: "${formatAddress({ ip: internet, port })}"`,
    ...(publicAddress === undefined
      ? []
      : [
          `      advertise: "${formatAddress({ ip: publicAddress, port })}"   # what the Internet sees (static NAT)`,
        ]),
  ];
  const everybody = internet.includes(':') ? '::/0' : '0.0.0.0/0';
  return lines([
    EDITOR,
    '# Termination gateway (GW2): stands in the DMZ, talks to the Internet, is dialled by the relay gateway.',
    '# Check with: voip-sgw check FILE. All keys: docs/configuration.md or voip-sgw schema.',
    'role: termination',
    `name: ${plan.terminationName}`,
    '',
    'tunnel:',
    '  # Where the relay gateway dials. Nothing is ever dialled from here into the intranet.',
    `  signalling: "${formatAddress({ ip: plan.terminationAddress, port: plan.signallingPort })}"`,
    `  media: "${formatAddress({ ip: plan.terminationAddress, port: plan.mediaPort })}"`,
    `  certificate: pki/${plan.terminationName}.crt`,
    `  key: pki/${plan.terminationName}.key`,
    '  ca: pki/ca.crt',
    '  # Relay gateways that may dial, by the name in their certificate, and what each may use.',
    '  sites:',
    `    - name: ${plan.relayName}`,
    '      maxCalls: 2000',
    '',
    'sip:',
    '  # Domain for which remote users register.',
    `  domain: ${plan.domain}`,
    '  listeners:',
    ...listener('internet-udp', 'udp', 5060),
    ...listener('internet-tcp', 'tcp', 5060),
    ...listener('internet-tls', 'tls', 5061),
    '      # Of the private CA; put a certificate of a public CA here for phones of others.',
    `      certificate: pki/${plan.terminationName}-sip.crt`,
    `      key: pki/${plan.terminationName}-sip.key`,
    '',
    'media:',
    '  pools:',
    `    - ip: "${internet}"`,
    ...(publicAddress === undefined ? [] : [`      advertise: "${publicAddress}"`]),
    '      ports: [16384, 32767]',
    '',
    '# Who may talk to this gateway. Sources that no peer covers get no answer at all.',
    'peers:',
    ...trunkPeer(plan),
    '  # Remote users: from anywhere, but every call and registration must be authenticated;',
    "  # the accounts stand in the relay gateway's configuration.",
    '  - name: users',
    `    sources: ["${everybody}"]`,
    '    authenticate: digest',
    '    symmetric: latch        # phones behind NAT: media is taken from where it really comes',
    '',
    '# Dial rules, first match wins. Try them: voip-sgw route-test NUMBER --from peers',
    'routes:',
    '  - name: to-intranet',
    '    from: peers',
    '    match: "*"',
    `    to: tunnel:${plan.relayName}`,
    '  - name: to-remote-users',
    '    from: tunnel',
    plan.trunkHost === undefined ? '    match: "*"' : '    match: "1XX"           # numbers of remote users',
    '    to: registered',
    ...(plan.trunkHost === undefined
      ? []
      : ['  - name: to-trunk', '    from: tunnel', '    match: "*"', '    to: peer:trunk']),
    '',
    ...operationLines(plan.terminationName, 9160),
  ]);
}

function trunkPeer(plan: InitPlan): string[] {
  if (plan.trunkHost === undefined) {
    return [
      '  # A SIP trunk; take the "#" away, correct host and networks, and add a rule "to: peer:trunk" below.',
      '  # - name: trunk',
      '  #   host: sip.provider.example',
      '  #   sources: ["203.0.113.0/24"]',
      '  #   trusted: true',
    ];
  }
  return [
    '  - name: trunk',
    `    host: "${plan.trunkHost}"`,
    ...(plan.trunkPort === undefined ? [] : [`    port: ${plan.trunkPort}`]),
    '    # Networks it calls from, besides "host" where that is an address.',
    `    sources: [${plan.trunkNetworks.map((network) => `"${network}"`).join(', ')}]`,
    '    trusted: true          # its caller identity is believed (P-Asserted-Identity)',
  ];
}

export function relayYaml(plan: InitPlan): string {
  return lines([
    EDITOR,
    '# Relay gateway (GW1): stands in the intranet, dials the termination gateway, talks to the IP-PBX.',
    '# Check with: voip-sgw check FILE. All keys: docs/configuration.md or voip-sgw schema.',
    'role: relay',
    `name: ${plan.relayName}`,
    '',
    'tunnel:',
    '  # Where to dial: the only connections that ever cross the inner firewall.',
    `  signalling: "${formatAddress({ ip: plan.terminationAddress, port: plan.signallingPort })}"`,
    `  media: "${formatAddress({ ip: plan.terminationAddress, port: plan.mediaPort })}"`,
    '  # The name the termination gateway must prove with its certificate.',
    `  peerName: ${plan.terminationName}`,
    `  certificate: pki/${plan.relayName}.crt`,
    `  key: pki/${plan.relayName}.key`,
    '  ca: pki/ca.crt',
    '  lanes: 2',
    '',
    'sip:',
    '  listeners:',
    '    - name: intranet-udp',
    '      transport: udp',
    `      address: "${formatAddress({ ip: plan.relayAddress, port: plan.relayPort })}"`,
    '    - name: intranet-tcp',
    '      transport: tcp',
    `      address: "${formatAddress({ ip: plan.relayAddress, port: plan.relayPort })}"`,
    '',
    'media:',
    '  pools:',
    `    - ip: "${plan.relayAddress}"`,
    `      ports: [${plan.relayPool[0]}, ${plan.relayPool[1]}]`,
    '',
    '# The closed list: this gateway contacts these peers and nobody else, whatever the termination gateway says.',
    'peers:',
    '  - name: pbx',
    `    host: "${plan.pbxHost}"`,
    `    port: ${plan.pbxPort}`,
    '    trusted: true',
    '',
    '# Where media may go besides the peers themselves: the networks of the phones, if the IP-PBX lets',
    '# them talk directly.',
    `mediaNetworks: [${plan.pbxNetworks.map((network) => `"${network}"`).join(', ')}]`,
    '',
    '# Remote users. Their passwords are known here and nowhere else; keep this file at mode 0600.',
    'accounts:',
    '  - username: remote-101',
    `    password: "${plan.userPassword}"`,
    '    number: "101"',
    '    displayName: Remote user 101',
    '',
    '# Dial rules, first match wins. Calls from the tunnel come from the Internet: permit what the IP-PBX should',
    '# get, for example only its own numbers, and let the IP-PBX decide about the rest.',
    'routes:',
    '  - name: to-pbx',
    '    from: tunnel',
    '    match: "*"',
    '    to: peer:pbx',
    '  - name: to-internet',
    '    from: peers',
    '    match: "*"',
    '    to: tunnel',
    '',
    "# What a termination gateway in an attacker's hands could use at most.",
    'limits:',
    '  maxCalls: 2000',
    '  maxCallsPerSecond: 50',
    '',
    ...operationLines(plan.relayName, 9161),
  ]);
}

function operationLines(name: string, metricsPort: number): string[] {
  return [
    '# The enterprise\'s own numbers, as "match" in routes: a caller from outside may not show one unauthenticated.',
    'ownNumbers: []',
    '',
    '# Numbers as dialled that go before everything else.',
    'emergency: ["112", "911"]',
    '',
    'operator:',
    '  # For voip-sgw calls, trace, status, drain.',
    `  socket: run/${name}.sock`,
    `  metrics: "127.0.0.1:${metricsPort}"`,
    '',
    'log:',
    '  level: info',
    '',
    'cdr:',
    `  file: cdr/${name}.jsonl`,
  ];
}

function lines(text: readonly string[]): string {
  return `${text.join('\n')}\n`;
}
