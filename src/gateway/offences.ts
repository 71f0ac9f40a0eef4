import type { Offence } from '../policy/source-ban.ts';

/** What makes a message no message: reasons of sip/head.ts, sip/parse.ts and sip/framing.ts. */
const MALFORMED = [
  'branch',
  'call-id',
  'contact',
  'content-length',
  'control-octet',
  'cseq',
  'cseq-method',
  'duplicate-header',
  'framing',
  'from',
  'head-end',
  'head-size',
  'header-line',
  'header-name',
  'header-size',
  'headers',
  'line-ending',
  'max-forwards',
  'method',
  'missing-header',
  'request-line',
  'size',
  'status-line',
  'tag',
  'to',
  'uri',
  'uri-headers',
  'uri-scheme',
  'uri-size',
  'utf8',
  'version',
  'via',
  // what honest devices never do
  'foreign-dialog',
] as const;

/** Reasons counted by the SIP endpoint (`sipRefused`) and for calls (`callsRefused`), as offences of their source. */
export const OFFENCE_OF: Readonly<Record<string, Offence | undefined>> = {
  ...Object.fromEntries(MALFORMED.map((reason) => [reason, 'malformed' as const])),
  'authentication-refused': 'authentication',
  scanner: 'scanner',
  // callsRefused
  'no-route': 'unknownTarget',
  'no-callee': 'unknownTarget',
  'foreign-target': 'unknownTarget',
};

/** Reasons the H.323 endpoint counts (`h323Refused`) as offences: what cannot be decoded, wrong passwords (H.235.1), too much at once. */
const H323_OFFENCES: readonly (readonly [RegExp, Offence])[] = [
  [/^signalling-/, 'malformed'],
  [/^(?:setup-)?contradiction$/, 'malformed'],
  [/^ras-token-/, 'authentication'],
  [/-flood$/, 'flood'],
];

/** What a reason that was counted for a source is held against it as. */
export function offenceOf(reason: string): Offence | undefined {
  return OFFENCE_OF[reason] ?? H323_OFFENCES.find(([pattern]) => pattern.test(reason))?.[1];
}
