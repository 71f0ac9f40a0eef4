import { buildResponse } from '../build.ts';
import type { HeaderPair } from '../serialize.ts';
import type { ServerTransaction } from '../transaction/server.ts';

/** A final answer to a request inside a dialog that needs no more than headers. */
export function refuse(
  transaction: ServerTransaction,
  status: number,
  headers: readonly HeaderPair[] = [],
): void {
  const { request, source } = transaction;
  transaction.respond(status, buildResponse(request, status, source.hop, { headers }));
}
