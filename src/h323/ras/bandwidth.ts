/** Bandwidth changes of admitted calls (H.323 8.4.1). */
import type { BandwidthRequest, RasMessage } from '../asn1/h225-types.ts';
import type { Call } from '../call.ts';
import type { Stack } from '../stack.ts';

/** More than was granted. Refused or unanswered: counted; the gatekeeper ends the call if it must. bit/s. */
export function askBandwidth(stack: Stack, call: Call, wanted: number): void {
  const registration = stack.ras.registration(call.peer);
  if (registration?.endpointIdentifier === undefined) return;
  const { endpointIdentifier, gatekeeperIdentifier } = registration;
  const bandWidth = Math.min(0xffffffff, Math.ceil(wanted / 100));
  registration.request(
    (requestSeqNum) => ({
      choice: 'bandwidthRequest',
      value: {
        requestSeqNum,
        endpointIdentifier,
        conferenceID: call.conferenceID,
        callReferenceValue: call.callReference,
        bandWidth,
        callIdentifier: { guid: call.callIdentifier },
        ...(gatekeeperIdentifier === undefined ? {} : { gatekeeperIdentifier }),
        answeredCall: !call.outgoing,
      },
    }),
    (answer) => {
      if (call.admission === undefined) return;
      if (answer?.choice === 'bandwidthConfirm') call.admission.bandwidth = answer.value.bandWidth * 100;
      else stack.core.count('bandwidth-refused', registration.gatekeeper);
    },
  );
}

/** The gatekeeper wants a call to use another bandwidth: more is noted; less cannot be obeyed without transcoding. */
export function bandwidthRequested(call: Call | undefined, request: BandwidthRequest): RasMessage {
  const { requestSeqNum, bandWidth } = request;
  if (call?.admission !== undefined && bandWidth * 100 >= call.admission.bandwidth) {
    call.admission.bandwidth = bandWidth * 100;
    return { choice: 'bandwidthConfirm', value: { requestSeqNum, bandWidth } };
  }
  return {
    choice: 'bandwidthReject',
    value: {
      requestSeqNum,
      rejectReason: {
        choice: call?.admission === undefined ? 'invalidConferenceID' : 'insufficientResources',
        value: null,
      },
      allowedBandWidth: Math.ceil((call?.admission?.bandwidth ?? 0) / 100),
    },
  };
}
