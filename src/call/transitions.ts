/**
 * The state table of a half-call: what may happen in which state, what is done about it, what comes next. What is not in
 * the table is a protocol error of whoever said it. docs/meta-protocol.md draws the same as two diagrams.
 */
import type { CallMessage, MetaCallState, Side } from '../meta/message.ts';
import type { LegEvent } from './leg.ts';

export type CallState =
  | 'null'
  | 'initiated'
  | 'proceeding'
  | 'alerting'
  | 'connected'
  /** Our leg asked for a change; the other gateway's answer is due. */
  | 'modifying-out'
  /** The other gateway asked for a change; our leg's answer is due. */
  | 'modifying-in'
  | 'ended';

export type InputName = `leg:${LegEvent['kind']}` | `tunnel:${CallMessage['kind']}`;

export type ActionName =
  /** Leg's set-up becomes Meta's. */
  | 'start'
  /** Meta's set-up is taken: proceeding goes back, the leg is called. */
  | 'take'
  /** From the leg to the tunnel, from the tunnel to the leg. */
  | 'forward'
  | 'deliver'
  /** From the called leg to the tunnel, from the tunnel to the calling leg, within the call's rate. */
  | 'ringing'
  | 'note'
  | 'modify-out'
  | 'modify-in'
  /** Ends `modifying-out`, `modifying-in`. */
  | 'modify-answered'
  /** The other side's change or offer meets ours. */
  | 'cross'
  | 'refuse-glare'
  | 'digit'
  | 'deliver-digit'
  | 'transfer-out'
  | 'transfer-in'
  | 'transfer-result'
  | 'report-status'
  | 'compare-status'
  | 'leg-released'
  | 'tunnel-released';

export interface Transition {
  readonly action: ActionName;
  /** undefined: the state stays. */
  readonly next?: CallState;
}

type Row = Partial<Record<InputName, Transition>>;

function row(action: ActionName, next?: CallState): Transition {
  return next === undefined ? { action } : { action, next };
}

const RELEASES: Row = {
  'leg:release': row('leg-released', 'ended'),
  'tunnel:release': row('tunnel-released', 'ended'),
  'tunnel:status-enquiry': row('report-status'),
  'tunnel:status': row('compare-status'),
};

/** Both directions, from the moment the other gateway has taken the call. */
const TALKING: Row = {
  ...RELEASES,
  'leg:media': row('forward'),
  'tunnel:media': row('deliver'),
  'leg:user-input': row('digit'),
  'tunnel:user-input': row('deliver-digit'),
  'tunnel:notify': row('note'),
};

const CALLING: Row = {
  ...TALKING,
  'tunnel:alerting': row('ringing', 'alerting'),
  'tunnel:connect': row('deliver', 'connected'),
};

const CALLED: Row = {
  ...TALKING,
  'leg:alerting': row('ringing', 'alerting'),
  'leg:connect': row('forward', 'connected'),
};

const TRANSFER: Row = {
  'leg:transfer-request': row('transfer-out'),
  'tunnel:transfer-request': row('transfer-in'),
  'tunnel:transfer-result': row('transfer-result'),
};

const CONNECTED: Row = {
  ...TALKING,
  ...TRANSFER,
  'leg:modify': row('modify-out', 'modifying-out'),
  'tunnel:modify': row('modify-in', 'modifying-in'),
};

const MODIFYING_OUT: Row = {
  ...TALKING,
  ...TRANSFER,
  'leg:modify': row('refuse-glare'),
  'tunnel:media': row('cross'),
  'tunnel:modify': row('cross'),
  'tunnel:modify-accept': row('modify-answered', 'connected'),
  'tunnel:modify-refuse': row('modify-answered', 'connected'),
};

const MODIFYING_IN: Row = {
  ...TALKING,
  ...TRANSFER,
  'leg:modify': row('refuse-glare'),
  'leg:modify-accept': row('modify-answered', 'connected'),
  'leg:modify-refuse': row('modify-answered', 'connected'),
};

const ESTABLISHED: Record<'connected' | 'modifying-out' | 'modifying-in' | 'ended', Row> = {
  connected: CONNECTED,
  'modifying-out': MODIFYING_OUT,
  'modifying-in': MODIFYING_IN,
  ended: {},
};

export const TRANSITIONS: Readonly<Record<Side, Readonly<Record<CallState, Row>>>> = {
  originator: {
    null: {
      'leg:setup': row('start', 'initiated'),
      'leg:release': row('leg-released', 'ended'),
    },
    initiated: { ...RELEASES, 'tunnel:proceeding': row('deliver', 'proceeding') },
    proceeding: { ...CALLING, 'tunnel:progress': row('ringing') },
    alerting: { ...CALLING, 'tunnel:progress': row('ringing') },
    ...ESTABLISHED,
  },
  terminator: {
    null: { 'tunnel:setup': row('take', 'initiated') },
    initiated: {
      ...CALLED,
      'leg:proceeding': row('note', 'proceeding'),
      'leg:progress': row('ringing', 'proceeding'),
    },
    proceeding: { ...CALLED, 'leg:proceeding': row('note'), 'leg:progress': row('ringing') },
    alerting: { ...CALLED, 'leg:proceeding': row('note'), 'leg:progress': row('ringing') },
    ...ESTABLISHED,
  },
};

/** The state as said in `status` and in the fence. */
export function metaState(state: CallState): MetaCallState {
  switch (state) {
    case 'modifying-out':
    case 'modifying-in':
      return 'modifying';
    case 'ended':
      return 'null';
    default:
      return state;
  }
}
