/** The parts of one endpoint, as its operations need them. */
import type { SessionRef } from './contract.ts';
import type { Core } from './core.ts';
import type { Dialog } from './dialog.ts';
import type { SipUri } from './message.ts';
import type { Resolver } from './resolve.ts';
import type { Session } from './session/session.ts';
import type { TransactionTable } from './transaction/table.ts';
import type { Transport } from './transport.ts';

export interface Stack {
  readonly core: Core;
  readonly transport: Transport;
  readonly table: TransactionTable;
  readonly resolver: Resolver;
  readonly sessions: Map<SessionRef, Session>;
  /** Sessions that have not ended; those in `sessions` beyond these only settle their debts. */
  live: number;
  /** Every early and confirmed dialog by its key (dialog.ts). */
  readonly dialogs: Map<string, { readonly dialog: Dialog; readonly session: Session }>;
  /** Our INVITEs without a final answer, by Call-ID and From tag: to see them come back (loops). */
  readonly calling: Map<string, SipUri>;
  /** Destinations that refused TCP lately: address to the time until which large requests stay on UDP. */
  readonly refusesTcp: Map<string, number>;
}
