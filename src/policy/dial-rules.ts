/**
 * Dial rules, first match wins. `from`: where the call comes from: 'tunnel' or 'peers' (this gateway's own side).
 * `match`: digits, `.` any digit run to the end, `X` one digit, `N` 2-9, or `*` for everything; a leading `+` means international.
 * `to`: 'tunnel' (termination: 'tunnel:SITE'), 'peer:NAME', 'registered' or 'refuse:CAUSE'.
 */
export interface RouteRule {
  readonly name: string;
  readonly from: 'tunnel' | 'peers' | `peer:${string}` | `tunnel:${string}`;
  readonly match: string;
  readonly callerMatch?: string;
  readonly to: string;
  readonly strip: number;
  readonly prefix: string;
  readonly callerStrip: number;
  readonly callerPrefix: string;
}
