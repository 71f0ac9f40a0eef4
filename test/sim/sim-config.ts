import type { GatewayConfig, LimitsConfig, PeerConfig } from '../../src/gateway/config.ts';
import type { RouteRule } from '../../src/policy/dial-rules.ts';

export const LIMITS: LimitsConfig = {
  maxCalls: 500,
  maxCallsPerSecond: 1000,
  maxCallsPerSecondPerSource: 1000,
  maxMediaBytesPerSecond: 10_000_000,
  maxRingSeconds: 60,
  maxCallSeconds: 3600,
  mediaSilenceSeconds: 300,
  connectionsPerSource: 20,
};

export function peer(name: string, host: string, more: Partial<PeerConfig> = {}): PeerConfig {
  return {
    name,
    protocol: 'sip',
    host,
    port: 5060,
    transport: 'udp',
    sources: [],
    authenticate: 'none',
    trusted: false,
    probeSeconds: 0,
    mediaNetworks: [],
    maxCalls: 500,
    ...more,
  };
}

export function route(
  name: string,
  from: RouteRule['from'],
  match: string,
  to: string,
  more: Partial<RouteRule> = {},
): RouteRule {
  return { name, from, match, to, strip: 0, prefix: '', callerStrip: 0, callerPrefix: '', ...more };
}

export function terminationConfig(): GatewayConfig {
  return {
    role: 'termination',
    name: 'gw2',
    tunnel: {
      signalling: { ip: '0.0.0.0', port: 7060 },
      media: { ip: '0.0.0.0', port: 7061 },
      certificate: '',
      key: '',
      ca: '',
      sites: [{ name: 'site-a', maxCalls: 500, maxCallsPerSecond: 1000, maxMediaBytesPerSecond: 10_000_000 }],
      lanes: 2,
    },
    sip: { listeners: [{ name: 'udp', transport: 'udp', address: { ip: '198.51.100.2', port: 5060 } }] },
    media: {
      pools: [{ ip: '198.51.100.2', ports: [16384, 17383] }],
      workers: 1,
      implementation: 'auto',
      codecs: ['PCMA', 'PCMU', 'G729', 'telephone-event'],
      symmetric: 'signalled',
    },
    peers: [peer('internet', '203.0.113.5', { sources: ['203.0.113.0/24'] })],
    accounts: [],
    routes: [route('in', 'peers', '*', 'tunnel:site-a'), route('out', 'tunnel', '*', 'peer:internet')],
    limits: LIMITS,
    emergency: ['112'],
    mediaNetworks: [],
    operator: { socket: '' },
    log: { level: 'debug' },
    cdr: { refusedPerSecond: 1000 },
  };
}

export function relayConfig(): GatewayConfig {
  const base = terminationConfig();
  return {
    ...base,
    role: 'relay',
    name: 'site-a',
    tunnel: { ...base.tunnel, peerName: 'gw2', sites: [] },
    sip: { listeners: [{ name: 'udp', transport: 'udp', address: { ip: '10.0.0.1', port: 5060 } }] },
    media: { ...base.media, pools: [{ ip: '10.0.0.1', ports: [16384, 17383] }] },
    peers: [peer('pbx', '10.0.0.10', { trusted: true })],
    mediaNetworks: ['10.0.0.0/8'],
    routes: [route('in', 'tunnel', '*', 'peer:pbx'), route('out', 'peers', '*', 'tunnel')],
  };
}
