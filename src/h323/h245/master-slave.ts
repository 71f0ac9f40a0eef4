/** Master/slave determination (H.245 C.2). */
import type { MasterSlaveDetermination, MasterSlaveDeterminationAck } from '../asn1/h245-types.ts';
import type { Call } from '../call.ts';
import { TERMINAL_TYPE } from '../identity.ts';
import type { Stack } from '../stack.ts';
import { readyIfDone } from './capability-exchange.ts';
import { sendRequest, sendResponse } from './control.ts';
import { controlFailed } from './due.ts';

const MODULUS = 2 ** 24;
/** N100: tries with identical numbers. */
const MOST_TRIES = 5;

export function beginDetermination(stack: Stack, call: Call): void {
  const { control } = call;
  if (control.msd === 'outgoing' || control.msd === 'incoming') return;
  control.msdTries = 0;
  send(stack, call);
}

function send(stack: Stack, call: Call): void {
  const { control } = call;
  control.msdTries++;
  control.msdNumber = stack.core.options.random.uint32() % MODULUS;
  control.msd = 'outgoing';
  sendRequest(stack, call, {
    choice: 'masterSlaveDetermination',
    value: { terminalType: TERMINAL_TYPE, statusDeterminationNumber: control.msdNumber },
  });
}

/** C.2.5.2.1: the higher terminal type is master, else the lower number modulo 2^24 seen from it. */
export function determine(
  ours: { readonly type: number; readonly number: number },
  theirs: { readonly type: number; readonly number: number },
): 'master' | 'slave' | 'indeterminate' {
  if (theirs.type !== ours.type) return theirs.type < ours.type ? 'master' : 'slave';
  const difference = (theirs.number - ours.number + MODULUS) % MODULUS;
  if (difference === 0 || difference === MODULUS / 2) return 'indeterminate';
  return difference < MODULUS / 2 ? 'master' : 'slave';
}

export function determinationReceived(stack: Stack, call: Call, asked: MasterSlaveDetermination): void {
  const { control } = call;
  if (control.msd === 'idle' || control.msd === 'done') {
    control.msdNumber = stack.core.options.random.uint32() % MODULUS;
    control.msdTries = 0;
  }
  const result = determine(
    { type: TERMINAL_TYPE, number: control.msdNumber },
    { type: asked.terminalType, number: asked.statusDeterminationNumber },
  );
  if (result === 'indeterminate') {
    if (control.msd !== 'outgoing') {
      return sendResponse(stack, call, {
        choice: 'masterSlaveDeterminationReject',
        value: { cause: { choice: 'identicalNumbers', value: null } },
      });
    }
    return again(stack, call);
  }
  control.master = result === 'master';
  control.msd = 'incoming';
  acknowledge(stack, call);
}

/** The decision told is the far end's part. */
function acknowledge(stack: Stack, call: Call): void {
  sendResponse(stack, call, {
    choice: 'masterSlaveDeterminationAck',
    value: { decision: { choice: call.control.master ? 'slave' : 'master', value: null } },
  });
}

export function determinationAcknowledged(
  stack: Stack,
  call: Call,
  decision: MasterSlaveDeterminationAck['decision'],
): void {
  const { control } = call;
  const master = decision.choice === 'master';
  if (control.msd === 'outgoing') {
    control.master = master;
    control.msd = 'done';
    acknowledge(stack, call);
  } else if (control.msd === 'incoming') {
    // C.2.4: a far end that decided otherwise than we did; our computation stands, it is the Recommendation's.
    if (master !== control.master) stack.core.count('msd-disagreement', call.remote);
    control.msd = 'done';
  } else return;
  readyIfDone(stack, call);
}

export function determinationRejected(stack: Stack, call: Call): void {
  if (call.control.msd === 'outgoing') again(stack, call);
}

function again(stack: Stack, call: Call): void {
  if (call.control.msdTries < MOST_TRIES) return send(stack, call);
  stack.core.count('msd-indeterminate', call.remote);
  controlFailed(stack, call);
}
