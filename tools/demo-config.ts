/** The demo's two configurations, in a folder where `voip-sgw init` has made CA and certificates. */
import { join } from 'node:path';

export interface DemoPorts {
  readonly signalling: number;
  readonly media: number;
  readonly gw2Sip: number;
  readonly gw1Sip: number;
  readonly phoneSip: number;
  readonly pbxSip: number;
  /** GW1's H.323 call signalling; given: the PBX (at `pbxSip`) speaks H.323. */
  readonly gw1H323?: number;
  /** First port of each gateway's RTP range (even); 200 ports each. */
  readonly gw2Rtp: number;
  readonly gw1Rtp: number;
}

export const DEMO_IP = '127.0.0.1';
const RTP_PORTS = 200;

export interface DemoFiles {
  readonly termination: string;
  readonly relay: string;
}

export interface DemoOptions {
  readonly maxCalls?: number;
  readonly implementation?: 'auto' | 'koffi' | 'dgram';
  readonly rtpPorts?: number;
  readonly logLevel?: string;
}

export function writeDemoConfigs(
  folder: string,
  ports: DemoPorts,
  write: (file: string, text: string) => void,
  options: DemoOptions = {},
): DemoFiles {
  const files = {
    termination: join(folder, 'demo-termination.yaml'),
    relay: join(folder, 'demo-relay.yaml'),
  };
  const rtp = options.rtpPorts ?? RTP_PORTS;
  const common = (name: string, first: number, metrics: string): string[] => [
    'media:',
    `  pools: [{ ip: "${DEMO_IP}", ports: [${first}, ${first + rtp - 1}] }]`,
    `  implementation: ${options.implementation ?? 'auto'}`,
    'operator:',
    `  socket: ${name}.sock`,
    metrics,
    `log: { level: ${options.logLevel ?? 'info'} }`,
    `cdr: { file: ${name}.cdr.jsonl }`,
    'limits:',
    `  maxCalls: ${options.maxCalls ?? 100}`,
    '  maxCallsPerSecond: 1000',
    '  maxCallsPerSecondPerSource: 1000',
  ];
  const tunnel = (name: string): string[] => [
    'tunnel:',
    `  signalling: "${DEMO_IP}:${ports.signalling}"`,
    `  media: "${DEMO_IP}:${ports.media}"`,
    `  certificate: pki/${name}.crt`,
    `  key: pki/${name}.key`,
    '  ca: pki/ca.crt',
  ];
  write(
    files.termination,
    text([
      'role: termination',
      'name: gw2',
      ...tunnel('gw2'),
      '  sites: [{ name: gw1, maxCalls: 2000, maxCallsPerSecond: 1000 }]',
      'sip:',
      `  listeners: [{ name: udp, transport: udp, address: "${DEMO_IP}:${ports.gw2Sip}" }]`,
      'peers:',
      `  - { name: internet, host: "${DEMO_IP}", port: ${ports.phoneSip}, transport: udp, probeSeconds: 0 }`,
      'routes:',
      '  - { name: to-intranet, from: peers, match: "*", to: "tunnel:gw1" }',
      '  - { name: to-internet, from: tunnel, match: "*", to: "peer:internet" }',
      ...common('gw2', ports.gw2Rtp, ''),
    ]),
  );
  write(
    files.relay,
    text([
      'role: relay',
      'name: gw1',
      ...tunnel('gw1'),
      '  peerName: gw2',
      ...pbxSide(ports),
      'routes:',
      '  - { name: to-pbx, from: tunnel, match: "*", to: "peer:pbx" }',
      '  - { name: to-internet, from: peers, match: "*", to: tunnel }',
      ...common('gw1', ports.gw1Rtp, ''),
    ]),
  );
  return files;
}

/** GW1's own side: a SIP PBX, or an H.323 one. */
function pbxSide(ports: DemoPorts): string[] {
  if (ports.gw1H323 === undefined)
    return [
      'sip:',
      `  listeners: [{ name: udp, transport: udp, address: "${DEMO_IP}:${ports.gw1Sip}" }]`,
      'peers:',
      `  - { name: pbx, host: "${DEMO_IP}", port: ${ports.pbxSip}, transport: udp, trusted: true, probeSeconds: 0 }`,
    ];
  return [
    'h323:',
    `  listeners: [{ name: h323, transport: tcp, address: "${DEMO_IP}:${ports.gw1H323}" }]`,
    '  h245Ports: [26000, 26999]',
    'peers:',
    `  - { name: pbx, protocol: h323, host: "${DEMO_IP}", port: ${ports.pbxSip}, trusted: true }`,
  ];
}

function text(lines: readonly string[]): string {
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}
