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
import { Background } from './run.ts';
/** `bench`: a namespace of its own with nothing but loopback, for load without a network. */
export type Place = 'internet' | 'outer' | 'dmz' | 'firewall' | 'intranet' | 'bench';
export declare const PLACES: readonly Place[];
export declare function namespace(place: Place): string;
/** Hosts by name, IPv4 and IPv6. */
export declare const host: {
  readonly outerInternet: {
    readonly v4: '198.51.100.1';
    readonly v6: '2001:db8:64::1';
  };
  readonly outerDmz: {
    readonly v4: '192.0.2.1';
    readonly v6: '2001:db8:d::1';
  };
  readonly gw2: {
    readonly v4: '192.0.2.2';
    readonly v6: '2001:db8:d::2';
  };
  readonly phone: {
    readonly v4: '198.51.100.10';
    readonly v6: '2001:db8:64::10';
  };
  readonly caller: {
    readonly v4: '198.51.100.11';
    readonly v6: '2001:db8:64::11';
  };
  readonly callee: {
    readonly v4: '198.51.100.12';
    readonly v6: '2001:db8:64::12';
  };
  readonly digest: {
    readonly v4: '198.51.100.13';
    readonly v6: '2001:db8:64::13';
  };
  readonly stranger: {
    readonly v4: '198.51.100.66';
    readonly v6: '2001:db8:64::66';
  };
  readonly gw2Inner: {
    readonly v4: '203.0.113.2';
    readonly v6: '2001:db8:cb::2';
  };
  readonly dmzOther: {
    readonly v4: '203.0.113.66';
    readonly v6: '2001:db8:cb::66';
  };
  readonly firewallDmz: {
    readonly v4: '203.0.113.1';
    readonly v6: '2001:db8:cb::1';
  };
  readonly firewallIntranet: {
    readonly v4: '10.20.30.1';
    readonly v6: 'fd20:30::1';
  };
  readonly gw1: {
    readonly v4: '10.20.30.5';
    readonly v6: 'fd20:30::5';
  };
  readonly pbx: {
    readonly v4: '10.20.30.10';
    readonly v6: 'fd20:30::10';
  };
  readonly intranetCallee: {
    readonly v4: '10.20.30.20';
    readonly v6: 'fd20:30::20';
  };
  readonly intranetCaller: {
    readonly v4: '10.20.30.21';
    readonly v6: 'fd20:30::21';
  };
};
export type HostName = keyof typeof host;
export type Family = 'v4' | 'v6';
/** Every link of the lab as a namespace and the interface to listen on. */
export declare const link: {
  readonly internet: {
    readonly place: 'internet';
    readonly device: 'to-outer';
  };
  readonly dmzOuter: {
    readonly place: 'dmz';
    readonly device: 'to-outer';
  };
  readonly dmzInner: {
    readonly place: 'dmz';
    readonly device: 'to-firewall';
  };
  readonly firewallDmz: {
    readonly place: 'firewall';
    readonly device: 'to-dmz';
  };
  readonly firewallIntranet: {
    readonly place: 'firewall';
    readonly device: 'to-intranet';
  };
  readonly intranet: {
    readonly place: 'intranet';
    readonly device: 'lo';
  };
};
export type LinkName = keyof typeof link;
/** Command line that runs `command` in a namespace. The process keeps the id that spawn() reports. */
export declare function inside(place: Place, command: string, args: readonly string[]): [string, string[]];
export declare function runInside(
  place: Place,
  command: string,
  args: readonly string[],
  input?: string,
): string;
export declare function spawnInside(
  place: Place,
  name: string,
  command: string,
  args: readonly string[],
  options?: {},
): Background;
/** Builds the network; what a crashed run left behind is removed first. The inner firewall drops everything until `replaceFilter`, the outer one lets all pass. */
export declare function build(): void;
export declare function buildBench(): void;
export declare function remove(places?: readonly Place[]): void;
/** Replaces all rules of a firewall, by what `voip-sgw firewall` printed for instance. */
export declare function replaceFilter(rules: string, place?: 'firewall' | 'outer'): void;
/** The rule in the form the product prints: one permit for new connections, and what belongs to them. Used until, and beside, it. */
export declare function placeholderFilter(family: Family): string;
/** Cuts TCP connections on a port of GW2 without a word to either end, until `heal`. */
export declare function cut(ports: readonly number[]): void;
export declare function heal(): void;
