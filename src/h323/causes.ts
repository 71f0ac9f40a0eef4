/** Q.850 causes ↔ reasons of H.225.0 and RAS. The Cause information element, where there is one, wins over a reason. */
import type { ReleaseCompleteReason } from './asn1/h225-types.ts';

type ReasonName = Exclude<
  ReleaseCompleteReason['choice'],
  'unknown' | 'nonStandardReason' | 'replaceWithConferenceInvite' | 'securityError'
>;

/** H.225.0 table 5: reason → cause. */
const CAUSE_OF_REASON: Readonly<Record<string, number>> = {
  noBandwidth: 34,
  gatekeeperResources: 47,
  unreachableDestination: 3,
  destinationRejection: 16,
  invalidRevision: 88,
  noPermission: 127,
  unreachableGatekeeper: 38,
  gatewayResources: 42,
  badFormatAddress: 28,
  adaptiveBusy: 41,
  inConf: 17,
  undefinedReason: 31,
  facilityCallDeflection: 16,
  securityDenied: 31,
  calledPartyNotRegistered: 20,
  callerNotRegistered: 31,
  newConnectionNeeded: 47,
  nonStandardReason: 127,
  replaceWithConferenceInvite: 31,
  genericDataReason: 31,
  neededFeatureNotSupported: 31,
  tunnelledSignallingRejected: 127,
  invalidCID: 3,
  securityError: 31,
  hopCountExceeded: 25,
};

/** Cause of a ReleaseComplete without Cause element; 31 (normal, unspecified) without either. */
export function causeOfReason(reason: string | undefined): number {
  return (reason === undefined ? undefined : CAUSE_OF_REASON[reason]) ?? 31;
}

const REASON_OF_CAUSE: Readonly<Record<number, ReasonName>> = {
  1: 'unreachableDestination',
  2: 'unreachableDestination',
  3: 'unreachableDestination',
  16: 'destinationRejection',
  17: 'inConf',
  20: 'calledPartyNotRegistered',
  21: 'destinationRejection',
  22: 'unreachableDestination',
  25: 'hopCountExceeded',
  28: 'badFormatAddress',
  34: 'noBandwidth',
  38: 'unreachableGatekeeper',
  41: 'adaptiveBusy',
  42: 'gatewayResources',
  47: 'gatekeeperResources',
  88: 'invalidRevision',
};

/** What we give beside the Cause element. */
export function reasonOfCause(cause: number): ReleaseCompleteReason {
  return { choice: REASON_OF_CAUSE[cause] ?? 'undefinedReason', value: null };
}

/** Reject reasons of RAS (GRJ, RRJ, ARJ, DRQ) → cause. */
const CAUSE_OF_RAS: Readonly<Record<string, number>> = {
  calledPartyNotRegistered: 20,
  invalidPermission: 21,
  requestDenied: 34,
  callerNotRegistered: 21,
  securityDenial: 21,
  securityError: 21,
  resourceUnavailable: 47,
  incompleteAddress: 28,
  invalidEndpointIdentifier: 21,
  routeCallToGatekeeper: 31,
  qosControlNotSupported: 47,
  qOSControlNotSupported: 47,
  noRouteToDestination: 3,
  unallocatedNumber: 1,
  callInProgress: 17,
  exceedsCallCapacity: 34,
  invalidCID: 3,
  aliasesInconsistent: 28,
};

export function causeOfRasReason(reason: string): number {
  return CAUSE_OF_RAS[reason] ?? 31;
}

/** A cause as the user gave it, made sendable: 1..127. */
export function sendableCause(cause: number): number {
  return Number.isInteger(cause) && cause >= 1 && cause <= 127 ? cause : 31;
}
