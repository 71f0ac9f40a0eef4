/** FlowControlCommand and MiscellaneousCommand (H.245 B.12): what the far end orders about what we send. */
import type { FlowControlCommand, MiscellaneousCommand } from '../asn1/h245-types.ts';
import type { Call } from '../call.ts';
import type { Stack } from '../stack.ts';
import { sendControl } from './control.ts';

/** A gateway that does not transcode cannot obey a limit of bit rate: counted. */
export function flowControlReceived(stack: Stack, call: Call, command: FlowControlCommand): void {
  if (command.restriction.choice === 'maximumBitRate') stack.core.count('flow-control', call.remote);
}

export function miscellaneousReceived(stack: Stack, call: Call, command: MiscellaneousCommand): void {
  switch (command.type.choice) {
    case 'videoFastUpdatePicture':
    case 'videoFastUpdateGOB':
    case 'videoFastUpdateMB':
    case 'lostPicture':
    case 'lostPartialPicture':
      return stack.core.event({ kind: 'refresh-picture', call: call.ref });
    default:
      return stack.core.count('miscellaneous-command', call.remote);
  }
}

/** For the channel the far end sends video on. */
export function refreshPicture(stack: Stack, call: Call): void {
  const channel = call.control.receive.get('video');
  if (channel?.state !== 'open') return;
  sendControl(stack, call, {
    choice: 'command',
    value: {
      choice: 'miscellaneousCommand',
      value: {
        logicalChannelNumber: channel.number,
        type: { choice: 'videoFastUpdatePicture', value: null },
      },
    },
  });
}
