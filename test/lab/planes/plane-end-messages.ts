/** What loss.ts and a media plane's end say to each other. */
import type { LaneCounters } from '../../../src/media/plane-contract.ts';
import type { TlsIdentity } from '../../../src/net/tls.ts';

export interface EndStart {
  readonly implementation: 'auto' | 'koffi' | 'dgram';
  readonly tls: TlsIdentity;
  readonly key: string;
  readonly peerName: string;
  readonly congestion: 'bbr' | 'system';
  readonly maxLanes: number;
  /** GW2: where lanes are accepted. */
  readonly listen?: { readonly ip: string; readonly port: number };
  /** GW1: where they are dialled. */
  readonly dial?: { readonly ip: string; readonly port: number; readonly lanes: number };
  readonly calls: number;
  readonly localIp: string;
  readonly phoneIp: string;
}

export type EndSays =
  | { readonly says: 'ready'; readonly implementation: string }
  | { readonly says: 'failed'; readonly reason: string }
  | { readonly says: 'lanes'; readonly lanes: readonly LaneCounters[] }
  | { readonly says: 'over'; readonly losses: Readonly<Record<string, number>> };

export const LOCAL_PORT = 20_000;
export const PHONE_PORT = 30_000;
