/** RFC 3261 17.1.1.1 and table 4; milliseconds. */
export const T1 = 500;
export const T2 = 4000;
export const T4 = 5000;
/** Timers B, F, H, J, L and M: 64*T1. */
export const TRANSACTION_LIFE = 64 * T1;
/** 17.2.1: an INVITE that nobody has answered by then gets a 100. */
export const TRYING_AFTER = 200;
/** Timer D on unreliable transports: at least 32 s. */
export const TIMER_D = 32_000;

/** What a client transaction asks of its carrier, in order. */
export type ClientAction =
  /** Send the request (again). */
  | 'send'
  /** Send an ACK for the non-2xx final response in hand, to where the request went (17.1.1.3). */
  | 'ack'
  /** Give the response to the user. */
  | 'pass'
  /** No (final) response in time: the user treats it as 408 (8.1.3.1). */
  | 'timed-out'
  /** The transport failed: the user treats it as 503 (8.1.3.1). */
  | 'transport-failed'
  /** Forget the transaction; always last. */
  | 'terminated';

/** What a server transaction asks of its carrier, in order. */
export type ServerAction =
  /** Send the last response (again). */
  | 'send'
  /** Send a 100 of our own: the user has not answered yet. */
  | 'trying'
  /** The ACK of a non-2xx response never came (timer H): told to the user, the transaction ends. */
  | 'timed-out'
  | 'terminated';

/** Granularity of the end of transactions that only absorb what comes again (timers D, I to M): many end at once, instead of one by one. */
const END_STEP = 500;

/** When a machine wants to be called: on time where it sends something then, a little late where it is only forgotten. */
export function alarmOf(machine: {
  deadline(): number | undefined;
  readonly absorbs: boolean;
}): number | undefined {
  const at = machine.deadline();
  return at === undefined || !machine.absorbs ? at : Math.ceil(at / END_STEP) * END_STEP;
}

/** The earlier of two deadlines. */
export function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined || a <= b ? a : b;
}
