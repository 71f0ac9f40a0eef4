import type { PlaneCommand, PlaneEvent } from '../media/plane-contract.ts';
import type { TlsIdentity } from '../net/tls.ts';
import type { LegSnapshot } from './engine.ts';
import type { LegState } from './stream-leg.ts';

/** IPC between main and a worker. */
export interface WorkerStart {
  readonly type: 'start';
  readonly shard: number;
  readonly implementation: 'auto' | 'koffi' | 'dgram';
  readonly lanes: 'auto' | 'node';
  readonly tls: TlsIdentity;
}

export type ToWorker =
  | WorkerStart
  | { readonly type: 'command'; readonly command: PlaneCommand; readonly resume?: LegState }
  /** In this order. */
  | { readonly type: 'commands'; readonly commands: readonly PlaneCommand[] }
  /** Comes with a raw TCP socket. */
  | { readonly type: 'lane' }
  | { readonly type: 'tls'; readonly tls: TlsIdentity }
  | { readonly type: 'stop' };

export type ToMain =
  | { readonly type: 'events'; readonly events: readonly PlaneEvent[] }
  | { readonly type: 'snapshot'; readonly legs: readonly LegSnapshot[] };
