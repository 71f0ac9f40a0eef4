/** The H.323 endpoint as the gateway holds it. */
import type { H323Decisions, H323Input, H323Limits, H323Output } from '../h323/contract.ts';
import type { Crypto, Machine, Random, WallMillis } from '../machine/machine.ts';

export interface H323MachineOptions {
  readonly random: Random;
  readonly crypto: Crypto;
  wall(): WallMillis;
  readonly decisions: H323Decisions;
  readonly limits: H323Limits;
}

export interface H323Machine extends Machine<H323Input, H323Output> {
  /** Entries of its tables, for tests and status. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** Where no endpoint is linked in: takes nothing, says nothing. */
export class NoH323 implements H323Machine {
  readonly sizes = {};
  handle(): void {}
  poll(): undefined {
    return undefined;
  }
  deadline(): undefined {
    return undefined;
  }
}
