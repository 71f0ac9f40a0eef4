/**
 * The lab's network: five namespaces in a row, two packet filters.
 *
 *   vsgw-internet ──── vsgw-outer ──── vsgw-dmz ──── vsgw-firewall ──── vsgw-intranet
 *     198.51.100.0/24    192.0.2.0/24     203.0.113.0/24    10.20.30.0/24     (and IPv6 on each link)
 *   phones, SIPp       outer rules      GW2          inner rule         GW1, Asterisk, SIPp
 *
 * The Internet knows a route to GW2's outer address only; the DMZ host does not forward; the two firewalls forward what
 * their rules permit; the intranet's only route out is the one to GW2's inner address. GW1 and the PBX share a
 * namespace: their traffic is on its loopback, and only the address tells them apart, so the filter's source is tested too.
 */
import { Background, run, succeeds } from './run.ts';

/** `bench`: a namespace of its own with nothing but loopback, for load without a network. */
export type Place = 'internet' | 'outer' | 'dmz' | 'firewall' | 'intranet' | 'bench';
export const PLACES: readonly Place[] = ['internet', 'outer', 'dmz', 'firewall', 'intranet'];

/** What names of namespaces, and the lab's lock, begin with; another one lets two labs run beside each other. */
export const PREFIX = process.env['VOIP_SGW_LAB_PREFIX'] ?? 'vsgw';

export function namespace(place: Place): string {
  return `${PREFIX}-${place}`;
}

/** Hosts by name, IPv4 and IPv6. */
export const host = {
  outerInternet: { v4: '198.51.100.1', v6: '2001:db8:64::1' },
  outerDmz: { v4: '192.0.2.1', v6: '2001:db8:d::1' },
  gw2: { v4: '192.0.2.2', v6: '2001:db8:d::2' },
  phone: { v4: '198.51.100.10', v6: '2001:db8:64::10' },
  caller: { v4: '198.51.100.11', v6: '2001:db8:64::11' },
  callee: { v4: '198.51.100.12', v6: '2001:db8:64::12' },
  digest: { v4: '198.51.100.13', v6: '2001:db8:64::13' },
  stranger: { v4: '198.51.100.66', v6: '2001:db8:64::66' },
  gw2Inner: { v4: '203.0.113.2', v6: '2001:db8:cb::2' },
  dmzOther: { v4: '203.0.113.66', v6: '2001:db8:cb::66' },
  firewallDmz: { v4: '203.0.113.1', v6: '2001:db8:cb::1' },
  firewallIntranet: { v4: '10.20.30.1', v6: 'fd20:30::1' },
  gw1: { v4: '10.20.30.5', v6: 'fd20:30::5' },
  pbx: { v4: '10.20.30.10', v6: 'fd20:30::10' },
  intranetCallee: { v4: '10.20.30.20', v6: 'fd20:30::20' },
  intranetCaller: { v4: '10.20.30.21', v6: 'fd20:30::21' },
} as const;

export type HostName = keyof typeof host;
export type Family = 'v4' | 'v6';

/** Every link of the lab as a namespace and the interface to listen on. */
export const link = {
  internet: { place: 'internet', device: 'to-outer' },
  dmzOuter: { place: 'dmz', device: 'to-outer' },
  dmzInner: { place: 'dmz', device: 'to-firewall' },
  firewallDmz: { place: 'firewall', device: 'to-dmz' },
  firewallIntranet: { place: 'firewall', device: 'to-intranet' },
  intranet: { place: 'intranet', device: 'lo' },
} as const satisfies Record<string, { place: Place; device: string }>;
export type LinkName = keyof typeof link;

const PLACEMENT: readonly {
  readonly place: Place;
  readonly device: string;
  readonly hosts: readonly HostName[];
}[] = [
  { place: 'internet', device: 'to-outer', hosts: ['phone', 'caller', 'callee', 'digest', 'stranger'] },
  { place: 'outer', device: 'to-internet', hosts: ['outerInternet'] },
  { place: 'outer', device: 'to-dmz', hosts: ['outerDmz'] },
  { place: 'dmz', device: 'to-outer', hosts: ['gw2'] },
  { place: 'dmz', device: 'to-firewall', hosts: ['gw2Inner', 'dmzOther'] },
  { place: 'firewall', device: 'to-dmz', hosts: ['firewallDmz'] },
  { place: 'firewall', device: 'to-intranet', hosts: ['firewallIntranet'] },
  { place: 'intranet', device: 'to-firewall', hosts: ['gw1', 'pbx', 'intranetCallee', 'intranetCaller'] },
];

/** Command line that runs `command` in a namespace. The process keeps the id that spawn() reports. */
export function inside(place: Place, command: string, args: readonly string[]): [string, string[]] {
  return ['ip', ['netns', 'exec', namespace(place), command, ...args]];
}

export function runInside(place: Place, command: string, args: readonly string[], input?: string): string {
  const [ip, all] = inside(place, command, args);
  return run(ip, all, input);
}

export function spawnInside(
  place: Place,
  name: string,
  command: string,
  args: readonly string[],
  options = {},
): Background {
  const [ip, all] = inside(place, command, args);
  return new Background(name, ip, all, options);
}

/** Builds the network; what a crashed run left behind is removed first. The inner firewall drops everything until `replaceFilter`, the outer one lets all pass. */
export function build(): void {
  remove();
  for (const place of PLACES) {
    run('ip', ['netns', 'add', namespace(place)]);
    const forward = place === 'firewall' || place === 'outer' ? '1' : '0';
    runInside(place, 'sysctl', [
      '-qw',
      `net.ipv4.ip_forward=${forward}`,
      `net.ipv6.conf.all.forwarding=${forward}`,
      'net.ipv4.conf.all.rp_filter=0',
      'net.ipv6.conf.all.disable_ipv6=0',
      'net.ipv6.conf.all.accept_dad=0',
      'net.ipv6.conf.default.accept_dad=0',
    ]);
    runInside(place, 'ip', ['link', 'set', 'lo', 'up']);
  }
  connect('internet', 'to-outer', 'outer', 'to-internet');
  connect('outer', 'to-dmz', 'dmz', 'to-outer');
  connect('dmz', 'to-firewall', 'firewall', 'to-dmz');
  connect('firewall', 'to-intranet', 'intranet', 'to-firewall');
  for (const { place, device, hosts } of PLACEMENT) address(place, device, hosts);
  route('internet', '192.0.2.0/24', host.outerInternet.v4, host.phone.v4);
  route('internet', '2001:db8:d::/64', host.outerInternet.v6, host.phone.v6);
  route('dmz', '198.51.100.0/24', host.outerDmz.v4, host.gw2.v4);
  route('dmz', '2001:db8:64::/64', host.outerDmz.v6, host.gw2.v6);
  route('dmz', '10.20.30.0/24', host.firewallDmz.v4, host.gw2Inner.v4);
  route('dmz', 'fd20:30::/64', host.firewallDmz.v6, host.gw2Inner.v6);
  route('intranet', '203.0.113.0/24', host.firewallIntranet.v4, host.gw1.v4);
  route('intranet', '2001:db8:cb::/64', host.firewallIntranet.v6, host.gw1.v6);
  replaceFilter(`table inet lab {
  chain forward {
    type filter hook forward priority 0; policy drop;
  }
}
`);
}

function connect(a: Place, deviceA: string, b: Place, deviceB: string): void {
  run('ip', [
    'link',
    'add',
    deviceA,
    'netns',
    namespace(a),
    'type',
    'veth',
    'peer',
    'name',
    deviceB,
    'netns',
    namespace(b),
  ]);
  for (const [place, device] of [
    [a, deviceA],
    [b, deviceB],
  ] as const) {
    runInside(place, 'ip', ['link', 'set', device, 'up']);
  }
}

/**
 * The first host of a device is the one that answers for it; the others are never chosen as source by themselves.
 * The kernel lists IPv6 addresses newest first, and baresip takes the first of the list for its SDP.
 */
function address(place: Place, device: string, names: readonly HostName[]): void {
  for (const name of names) runInside(place, 'ip', ['address', 'add', `${host[name].v4}/24`, 'dev', device]);
  for (const name of [...names].reverse()) {
    const lifetime = name === names[0] ? [] : ['preferred_lft', '0'];
    runInside(place, 'ip', ['address', 'add', `${host[name].v6}/64`, 'dev', device, 'nodad', ...lifetime]);
  }
}

function route(place: Place, to: string, via: string, source: string): void {
  runInside(place, 'ip', ['route', 'add', to, 'via', via, 'src', source]);
}

export function buildBench(): void {
  remove(['bench']);
  run('ip', ['netns', 'add', namespace('bench')]);
  runInside('bench', 'ip', ['link', 'set', 'lo', 'up']);
}

export function remove(places: readonly Place[] = PLACES): void {
  for (const place of places) {
    if (!succeeds('ip', ['netns', 'pids', namespace(place)])) continue;
    for (const pid of run('ip', ['netns', 'pids', namespace(place)])
      .split('\n')
      .filter(Boolean)) {
      succeeds('kill', ['-9', pid]); // only processes inside our own namespaces
    }
    run('ip', ['netns', 'del', namespace(place)]);
  }
}

/** Loads rules, as nft reads them, beside those that the inner firewall has. */
function filter(rules: string): void {
  runInside('firewall', 'nft', ['-f', '-'], rules);
}

/** Replaces all rules of a firewall, by what `voip-sgw firewall` printed for instance. */
export function replaceFilter(rules: string, place: 'firewall' | 'outer' = 'firewall'): void {
  runInside(place, 'nft', ['-f', '-'], `flush ruleset\n${rules}`);
}

/** The rule in the form the product prints: one permit for new connections, and what belongs to them. Used until, and beside, it. */
export function placeholderFilter(family: Family): string {
  const l3 = family === 'v4' ? 'ip' : 'ip6';
  return `table inet voip_sgw_inner {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ${l3} saddr ${host.gw1[family]} ${l3} daddr ${host.gw2Inner[family]} tcp dport { 7060, 7061 } ct state new accept
  }
}
`;
}

/** Cuts TCP connections on a port of GW2 without a word to either end, until `heal`. */
export function cut(ports: readonly number[]): void {
  filter(`table inet lab_cut
flush table inet lab_cut
table inet lab_cut {
  chain forward {
    type filter hook forward priority -10; policy accept;
    tcp dport { ${ports.join(', ')} } drop
    tcp sport { ${ports.join(', ')} } drop
  }
}
`);
}

export function heal(): void {
  filter('table inet lab_cut\ndelete table inet lab_cut\n');
}
