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
