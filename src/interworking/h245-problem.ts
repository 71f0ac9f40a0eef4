/** Why media cannot be agreed on for an H.323 leg. */
/** `cause`: Q.850 for the release; `reason`: stable token for counters. */
export interface H245Problem {
  readonly cause: number;
  readonly reason: string;
}

export const NO_COMMON_CODEC: H245Problem = { cause: 88, reason: 'no-common-codec' };
export const NO_PORT: H245Problem = { cause: 47, reason: 'no-port' };
