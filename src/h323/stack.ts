import type { Call } from './call.ts';
import type { CallTable } from './calls.ts';
import type { Connections, ConnectionUser } from './connections.ts';
import type { Core } from './core.ts';
import type { RasClient } from './ras/client.ts';
import type { Terminals } from './ras/terminals.ts';

/** The parts of an endpoint, for the procedures that span them. */
export interface Stack {
  readonly core: Core;
  readonly connections: Connections;
  /** Takes what comes over signalling connections that we opened. */
  readonly dialled: ConnectionUser;
  readonly calls: CallTable;
  readonly ras: RasClient;
  readonly terminals: Terminals;
  /** Calls with tunnelled H.245 that waits for a message to ride on; emptied at the end of each input. */
  readonly dirty: Set<Call>;
}
