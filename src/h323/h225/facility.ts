/** Facility (H.225.0 7.4.6): H.245 to begin, calls to go elsewhere, or only a vehicle for tunnelled H.245. */
import type { FacilityUUIE } from '../asn1/h225-types.ts';
import type { Call } from '../call.ts';
import type { H323Command } from '../contract.ts';
import { isNumber, partyOf } from '../party.ts';
import type { Stack } from '../stack.ts';
import { sendFacility } from './message.ts';
import { endCall } from './release-complete.ts';

/** `facility` undefined: the body was `empty`, or there was none. What many messages bear was taken before. */
export function facilityReceived(stack: Stack, call: Call, facility: FacilityUUIE | undefined): void {
  if (facility === undefined) return;
  switch (facility.reason.choice) {
    case 'callForwarded':
      return forwarded(stack, call, facility);
    case 'routeCallToGatekeeper':
    case 'routeCallToMC':
      // We go where configuration and our own gatekeeper send us.
      stack.core.count('facility-reroute', call.remote);
      if (call.outgoing && call.state !== 'connected') {
        endCall(stack, call, { by: 'far-end', cause: 31, reason: facility.reason.choice, tell: true });
      }
      return;
    case 'startH245':
    case 'transportedInformation':
    case 'forwardedElements':
    case 'noH245':
    case 'undefinedReason':
    case 'featureSetUpdate':
    case 'newTokens':
    case 'conferenceListChoice':
      return;
    default:
      return stack.core.count('facility-unknown', call.remote);
  }
}

/** H.323 8.4.5: before the answer the call is to be made anew to another party; after it, transferred. */
function forwarded(stack: Stack, call: Call, facility: FacilityUUIE): void {
  // An alternative transport address is not followed: it names no party our dial rules could judge.
  const target = partyOf(facility.alternativeAliasAddress);
  if (target.number === '' && target.name === undefined) {
    stack.core.count('facility-no-alias', call.remote);
    if (call.outgoing && call.state !== 'connected') {
      endCall(stack, call, { by: 'far-end', cause: 31, reason: 'callForwarded', tell: true });
    }
    return;
  }
  if (call.state === 'connected') {
    return stack.core.event({ kind: 'transfer-asked', call: call.ref, target });
  }
  if (!call.outgoing) return stack.core.count('wrong-state', call.remote);
  endCall(stack, call, {
    by: 'far-end',
    cause: 23, // redirection to new destination
    reason: 'callForwarded',
    ourReason: { choice: 'facilityCallDeflection', value: null },
    redirect: target,
    tell: true,
  });
}

export function sendForward(
  stack: Stack,
  call: Call,
  command: Extract<H323Command, { kind: 'forward' }>,
): void {
  if (!isNumber(command.number)) return stack.core.count('forward-number', call.remote);
  if (call.outgoing ? call.state !== 'connected' : call.state === 'preparing') return;
  call.forwarding = true;
  sendFacility(stack, call, 'callForwarded', {
    alternativeAliasAddress: [{ choice: 'dialledDigits', value: command.number }],
  });
}
