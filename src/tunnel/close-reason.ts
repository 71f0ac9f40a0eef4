/**
 * Why a signalling connection is closed. Sent to the far end as one octet (index + 1; 0 and unknown values read as
 * `unknown`), so that no text of the far end ever reaches a log. New reasons are appended; the order is part of the protocol.
 */
export const CLOSE_REASONS = [
  'stop',
  'renewed',
  'frame-too-large',
  'malformed',
  'unknown-type',
  'unexpected-frame',
  'out-of-order',
  'acknowledgement-range',
  'heartbeat-reply',
  'control-flood',
  'data-flood',
  'hello-timeout',
  'fence-timeout',
  'dead',
  'version',
  'name',
  'proof',
  'resume-range',
  'session-held',
  'boot-id-older',
  'too-many-connections',
  'takeover-rate',
  'unacknowledged',
  'replaced',
  'dial-timeout',
] as const;

export type CloseReason = (typeof CLOSE_REASONS)[number];

export function closeReasonCode(reason: CloseReason): number {
  return CLOSE_REASONS.indexOf(reason) + 1;
}

export function closeReasonName(code: number): CloseReason | 'unknown' {
  return CLOSE_REASONS[code - 1] ?? 'unknown';
}
