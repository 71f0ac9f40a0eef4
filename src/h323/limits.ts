/** How long we wait for what, milliseconds (Q.931 9.5 and H.225.0 7.3 name the timers; values as peers in the field bear them). */

/** T303: Setup (with the connect before it) → any answer. */
export const SETUP_LIMIT = 10_000;
/** T310: CallProceeding → Alerting, Progress or Connect. */
export const PROCEEDING_LIMIT = 60_000;
/** T301: Alerting → Connect. */
export const ALERTING_LIMIT = 180_000;
/** The user's answer to an incoming call. */
export const ANSWER_LIMIT = 240_000;
/** Incoming: CallProceeding is sent by the endpoint after this time, before the caller's T303. */
export const PROCEEDING_AFTER = 2_000;
/** T106 and T101: master/slave determination and capability exchange together. */
export const CONTROL_LIMIT = 20_000;
/** Connect of a separate H.245 connection, or somebody to come to our port. */
export const CONTROL_CONNECT_LIMIT = 15_000;
/** How long the side that should not dial waits for the other's H.245 connection. */
export const CONTROL_YIELD = 3_000;
/** T103: OpenLogicalChannel → Ack. */
export const CHANNEL_LIMIT = 10_000;
/** The user's answer to channel-asked: before the far end's T103. */
export const CHANNEL_ANSWER_LIMIT = 8_000;
/** T109: RequestMode → answer; and the user's to mode-asked. */
export const MODE_LIMIT = 5_000;
/** endSessionCommand → ReleaseComplete. */
export const END_SESSION_LIMIT = 3_000;
/** A call in `preparing`: address and admission. */
export const PREPARING_LIMIT = 30_000;
