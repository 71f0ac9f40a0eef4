/** The called side of a new session (RFC 3261 13.3). */
import type { SipBody } from '../contract.ts';
import { dialogOfRequest } from '../dialog.ts';
import { firstHeader } from '../header/access.ts';
import { parseSeconds } from '../header/session-expires.ts';
import type { Stack } from '../stack.ts';
import type { ServerTransaction } from '../transaction/server.ts';
import { answerPending } from './bye.ts';
import { receiveCancel } from './cancel.ts';
import { sessionFlow } from './flow.ts';
import { refreshSession } from './refresh.ts';
import { SETUP_LIMIT, Session } from './session.ts';

/** Sessions the endpoint names are odd. */
export class SessionNumbers {
  #next = 1;

  next(): number {
    const ref = this.#next;
    this.#next += 2;
    return ref;
  }
}

export interface IncomingInvite {
  readonly ref: number;
  readonly transaction: ServerTransaction;
  readonly body: SipBody | undefined;
  readonly account: string | undefined;
}

/**
 * Makes the session of an INVITE that passed every check of uas.ts. False where no dialog can be made of it: its Contact
 * or Record-Route will not do, 400 is due.
 */
export function startIncoming(stack: Stack, invite: IncomingInvite): boolean {
  const { core } = stack;
  const { ref, transaction, body, account } = invite;
  const { request, source } = transaction;
  const peer = core.peers.get(source.peer);
  const dialog = dialogOfRequest(request, source, core.token(8));
  if (dialog === undefined || peer === undefined) return false;
  const session = new Session(stack, ref, 'uas', peer);
  session.onRefresh = (): void => refreshSession(stack, session);
  session.dialog = dialog;
  session.addDialog(dialog);
  session.incoming = transaction;
  transaction.session = ref;
  transaction.user = {
    cancelled: (cancel) => receiveCancel(session, cancel),
    lost: () => {
      session.incoming = undefined;
      session.end({ by: 'transport', status: 0 });
    },
  };
  const expires = parseSeconds(firstHeader(request, 'Expires') ?? '');
  const wanted = expires === undefined ? SETUP_LIMIT : 1000 * expires;
  const status = wanted < SETUP_LIMIT ? 487 : 480; // 13.3.1: an invitation that has expired
  session.expect(core.now + Math.min(wanted, SETUP_LIMIT), () => {
    answerPending(session, status);
    session.end({ by: 'timeout', status });
  });
  core.event({
    kind: 'incoming',
    session: ref,
    peer: source.peer,
    request,
    remote: source.hop.remote,
    flow: sessionFlow(source.hop),
    ...(body === undefined ? {} : { body }),
    ...(account === undefined ? {} : { account }),
  });
  return true;
}
