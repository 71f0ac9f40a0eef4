/** In the place of a leg where a call has none: while a transfer looks for its new party, and after it has taken the old one. */
import type { LegCommand, LegStream } from '../call/leg.ts';
import type { SessionRef } from '../sip/contract.ts';

export class NoLeg {
  readonly protocol = 'none';
  /** A name no session of the endpoint has. */
  readonly session: SessionRef;

  constructor(session: SessionRef) {
    this.session = session;
  }

  command(_command: LegCommand): void {}

  streams(): readonly LegStream[] {
    return [];
  }

  poll(): undefined {
    return undefined;
  }
}
