/** Numbers, peers and routes of the H.323 lab: one Asterisk on either side, reached by SIP and by H.323 in four manners. */
import type { Role } from './pair.ts';
import type { Asterisk } from './peers/asterisk.ts';
import { hostPort } from './peers/sipp.ts';
import { host } from './topology.ts';

/** Call signalling of H.323: FastStart or not, H.245 tunnelled or in a connection of its own. */
export type Mode = 'fast-tunnel' | 'fast-separate' | 'slow-tunnel' | 'slow-separate';
export type Access = 'sip' | Mode;
export type Codec = 'ulaw' | 'alaw';

/** Second digit of a number: how the called side is reached. */
const DIGITS: Readonly<Record<Access, string>> = {
  sip: '0',
  'fast-tunnel': '1',
  'fast-separate': '2',
  'slow-tunnel': '3',
  'slow-separate': '4',
};
export const ACCESSES = Object.keys(DIGITS) as Access[];
/** First digit: which side is called. */
const FIRST = { inward: '4', outward: '7' } as const;
export type Direction = keyof typeof FIRST;

export interface CallPath {
  readonly direction: Direction;
  readonly caller: Access;
  readonly callee: Access;
  readonly codec: Codec;
}

export function numberOf(path: CallPath, extension: string): string {
  return FIRST[path.direction] + DIGITS[path.callee] + extension;
}

/** Calls `extension` of the other side, and joins the answered call with an extension of [legs]. */
export function originate(from: Asterisk, path: CallPath, extension: string, leg: string): void {
  const number = numberOf(path, extension);
  const tail = path.caller === 'sip' ? `trunk-${path.codec}` : `${path.caller}-${path.codec}`;
  from.originate(`${path.caller === 'sip' ? 'PJSIP' : 'OOH323'}/${number}@${tail}`, leg);
}

/** The far address of H.323 on either side, and where it listens. */
export const h323Change = (role: Role, config: Record<string, unknown>): Record<string, unknown> => {
  const outer = role === 'termination';
  const far = outer ? host.callee.v4 : host.pbx.v4;
  const networks = outer ? ['198.51.100.0/24'] : ['10.20.30.0/24'];
  const digit = outer ? FIRST.outward : FIRST.inward;
  return {
    ...config,
    h323: {
      listeners: [
        { name: 'h323', transport: 'tcp', address: hostPort(outer ? host.gw2.v4 : host.gw1.v4, 1720) },
      ],
    },
    peers: ACCESSES.map((access) => peer(access, far, networks, !outer)),
    routes: [
      ...ACCESSES.map((access) => ({
        name: `to-${access}`,
        from: 'tunnel',
        match: `${digit}${DIGITS[access]}.`,
        to: `peer:${access}`,
        strip: 2,
      })),
      { name: 'across', from: 'peers', match: '*', to: 'tunnel' },
    ],
  };
};

function peer(
  access: Access,
  ip: string,
  mediaNetworks: readonly string[],
  trusted: boolean,
): Record<string, unknown> {
  const common = { name: access, host: ip, mediaNetworks, trusted };
  if (access === 'sip') return { ...common, port: 5060, transport: 'udp', probeSeconds: 0 };
  const [start, tunnel] = access.split('-');
  return {
    ...common,
    protocol: 'h323',
    h323: { fastStart: start === 'fast', tunnelling: tunnel === 'tunnel' },
  };
}
