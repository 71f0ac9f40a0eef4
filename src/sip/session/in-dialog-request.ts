import { buildInDialog, requestUriOf } from '../build.ts';
import type { SipBody } from '../contract.ts';
import type { Source } from '../core.ts';
import { type Dialog, nextHop } from '../dialog.ts';
import type { SipResponse } from '../message.ts';
import { type Attempt, ClientRequest } from '../request.ts';
import type { HeaderPair } from '../serialize.ts';
import type { Stack } from '../stack.ts';
import type { Session } from './session.ts';

export interface InDialogRequest {
  readonly method: string;
  readonly headers: (attempt: Attempt) => readonly HeaderPair[];
  readonly body?: SipBody | undefined;
  response?(response: SipResponse, source: Source, attempt: Attempt): void;
  failed?(why: 'timeout' | 'transport'): void;
}

/** Sends a request of ours inside a dialog (RFC 3261 12.2.1); the session lives on until it is answered. */
export function sendInDialog(
  stack: Stack,
  session: Session,
  dialog: Dialog,
  spec: InDialogRequest,
): ClientRequest {
  session.hold();
  const request = new ClientRequest(stack, {
    method: spec.method,
    peer: session.peer,
    session: session.ref,
    to: nextHop(stack.core, stack.transport, dialog, session.peer),
    uri: requestUriOf(dialog),
    nextSequence: () => ++dialog.localSequence,
    build: (attempt) => buildInDialog(dialog, spec.method, attempt, spec.headers(attempt), spec.body),
    ack: (attempt) => buildInDialog(dialog, 'ACK', { ...attempt, authorization: [] }, [], undefined),
    response: (response, source) => spec.response?.(response, source, request.attempt!),
    failed: (why) => spec.failed?.(why),
    done: () => session.release(),
  });
  request.start();
  return request;
}
