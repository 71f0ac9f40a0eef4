/** The end of a call (H.323 8.5): ReleaseComplete, and everything that ends with it. */
import type { ReleaseCompleteReason } from '../asn1/h225-types.ts';
import type { Call } from '../call.ts';
import { causeOfReason, reasonOfCause, sendableCause } from '../causes.ts';
import type { Connection } from '../connections.ts';
import type { H323Event } from '../contract.ts';
import { endSession } from '../h245/end-session.ts';
import { H225_PROTOCOL } from '../identity.ts';
import { encodeSignalling } from '../messages.ts';
import type { Q931Cause } from '../q931.ts';
import type { Stack } from '../stack.ts';
import { sendSignalling } from './message.ts';

type Released = Extract<H323Event, { kind: 'released' }>;

export interface Ending {
  readonly by: Released['by'];
  /** Q.850 */
  readonly cause: number;
  /** The reason the far end gave, told to the user. */
  readonly reason?: string;
  /** The reason we give, where it does not follow from the cause. */
  readonly ourReason?: ReleaseCompleteReason;
  readonly redirect?: Released['redirect'];
  /** Whether the far end is to be told. */
  readonly tell: boolean;
}

/** Ends a call: tells the far end where it may still hear, frees everything, and says `released`, exactly once. */
export function endCall(stack: Stack, call: Call, ending: Ending): void {
  if (call.state === 'ended') return;
  const { core, calls, connections } = stack;
  const cause = sendableCause(ending.cause);
  const told = ending.tell && call.state !== 'preparing';
  // A call we made is `preparing` until its Setup is sent; one made to us has had a Setup, whatever its state.
  if (told || (ending.tell && !call.outgoing)) {
    endSession(stack, call);
    const reason = ending.ourReason ?? (call.forwarding ? DEFLECTION : reasonOfCause(cause));
    sendSignalling(
      stack,
      call,
      'releaseComplete',
      {
        choice: 'releaseComplete',
        value: { protocolIdentifier: H225_PROTOCOL, reason, callIdentifier: { guid: call.callIdentifier } },
      },
      { cause: { value: cause, location: 0 } },
      `cause=${cause}`,
    );
  }
  const { connection } = call;
  closeControl(stack, call);
  call.state = 'ended';
  call.alarm.set(undefined);
  call.reportAlarm.set(undefined);
  stack.dirty.delete(call);
  calls.remove(call);
  if (connection !== undefined) connections.release(connection);
  stack.ras.callEnded(call, cause);
  core.event({
    kind: 'released',
    call: call.ref,
    by: ending.by,
    cause,
    ...(ending.reason === undefined ? {} : { reason: ending.reason }),
    ...(ending.redirect === undefined ? {} : { redirect: ending.redirect }),
  });
}

const DEFLECTION: ReleaseCompleteReason = { choice: 'facilityCallDeflection', value: null };

/** H.245's own connection and port go with the call, or when tunnelling takes their place. */
export function closeControl(stack: Stack, call: Call): void {
  const { control } = call;
  const { listening, connection } = control;
  control.transport = 'ended';
  control.outbox = [];
  control.listening = undefined;
  control.connection = undefined;
  for (const alarm of [control.alarm, control.sendAlarm, control.receiveAlarm, control.modeAlarm]) {
    alarm.set(undefined);
  }
  if (listening !== undefined) {
    stack.calls.listening.delete(listening.ref);
    stack.core.emit({ kind: 'unlisten', listening: listening.ref });
  }
  if (connection !== undefined) stack.connections.release(connection);
}

/** The far end's ReleaseComplete. The Cause element wins over the reason. */
export function releaseCompleteReceived(
  stack: Stack,
  call: Call,
  cause: Q931Cause | undefined,
  reason: ReleaseCompleteReason | undefined,
): void {
  const name = reason?.choice;
  endCall(stack, call, {
    by: 'far-end',
    cause: cause !== undefined && cause.value > 0 ? cause.value : causeOfReason(name),
    tell: false,
    ...(name === undefined || name === 'unknown' ? {} : { reason: name }),
  });
}

/** Refuses a Setup, or a message of no call, without keeping anything of it. */
export function refuseWithoutCall(
  stack: Stack,
  connection: Connection,
  callReference: number,
  cause: number,
  guid?: Uint8Array,
): void {
  const { core, connections } = stack;
  const bytes = encodeSignalling(
    {
      type: 'releaseComplete',
      callReference,
      fromDestination: true,
      cause: { value: cause, location: 0 },
    },
    {
      h323UuPdu: {
        h323MessageBody: {
          choice: 'releaseComplete',
          value: {
            protocolIdentifier: H225_PROTOCOL,
            reason: reasonOfCause(cause),
            ...(guid === undefined ? {} : { callIdentifier: { guid } }),
          },
        },
        h245Tunnelling: false,
      },
    },
  );
  core.trace('out', 'tcp', connection.remote, `ReleaseComplete cause=${cause}`);
  connections.send(connection, bytes);
}
