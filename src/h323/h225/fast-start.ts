/**
 * FastStart (H.323 8.1.7): proposals of whole channels in Setup, the chosen ones in the answer. A proposal to send is a forward
 * channel; one to receive has nullData forward and its content in the reverse parameters.
 */
import type { Address } from '../../machine/address.ts';
import type { DataType, OpenLogicalChannel } from '../asn1/h245-types.ts';
import type { Call } from '../call.ts';
import { dataTypesOf, sameCodec } from '../capability.ts';
import { channelOf, channelParameters, spell } from '../h245/parameters.ts';
import type {
  FastStartChoice,
  FastStartOffer,
  FastStartProposal,
  H323Capability,
  H323Channel,
  MediaAddress,
  MediaKind,
} from '../media-contract.ts';
import { decodeFastStart, encodeFastStart } from '../messages.ts';
import type { Stack } from '../stack.ts';

/** Proposals of one message that are looked at. */
const MOST_PROPOSALS = 64;

/** One of our proposals. Directions as we see them. */
export interface FastStartProposed {
  readonly number: number;
  readonly direction: 'send' | 'receive';
  readonly capability: H323Capability;
  readonly payloadType: number | undefined;
}

/** One of the far end's proposals. Directions as we see them: its forward channel is our `receive`. */
export interface OfferedChannel {
  readonly number: number;
  readonly direction: 'send' | 'receive';
  readonly capability: H323Capability;
  readonly data: DataType;
  readonly remote: MediaAddress | undefined;
  readonly remoteRtcp: Address | undefined;
  readonly payloadType: number | undefined;
}

/** The octets of our proposals; remembers them in the call. */
export function proposeFastStart(call: Call, proposals: readonly FastStartProposal[]): Uint8Array[] {
  const out: Uint8Array[] = [];
  call.proposals = proposals;
  for (const proposal of proposals) {
    for (const capability of proposal.capabilities) {
      for (const data of dataTypesOf(capability)) {
        if (out.length + 2 > MOST_PROPOSALS) return out;
        for (const direction of ['send', 'receive'] as const) {
          if (proposal.direction !== 'both' && proposal.direction !== direction) continue;
          const number = call.control.nextChannel++;
          const { payloadType } = proposal;
          call.proposed.push({ number, direction, capability, payloadType });
          const channel =
            direction === 'send'
              ? forward(number, data, capability, { rtcp: proposal.local.rtcp, payloadType })
              : reverse(number, data, capability, proposal.local);
          out.push(encodeFastStart(channel));
        }
      }
    }
  }
  return out;
}

function forward(
  number: number,
  data: DataType,
  capability: H323Capability,
  addresses: { rtp?: Address | undefined; rtcp?: Address | undefined; payloadType?: number | undefined },
): OpenLogicalChannel {
  return {
    forwardLogicalChannelNumber: number,
    forwardLogicalChannelParameters: {
      dataType: data,
      multiplexParameters: {
        choice: 'h2250LogicalChannelParameters',
        value: channelParameters(capability, addresses),
      },
    },
  };
}

function reverse(
  number: number,
  data: DataType,
  capability: H323Capability,
  addresses: { rtp?: Address | undefined; rtcp?: Address | undefined; payloadType?: number | undefined },
): OpenLogicalChannel {
  return {
    forwardLogicalChannelNumber: number,
    forwardLogicalChannelParameters: {
      dataType: { choice: 'nullData', value: null },
      multiplexParameters: { choice: 'none', value: null },
    },
    reverseLogicalChannelParameters: {
      dataType: data,
      multiplexParameters: {
        choice: 'h2250LogicalChannelParameters',
        value: channelParameters(capability, addresses),
      },
    },
  };
}

/** A foreign proposal or answer; undefined: undecodable, or nothing we know. `toUs`: its forward direction is towards us. */
function understood(bytes: Uint8Array): OfferedChannel | undefined {
  const decoded = decodeFastStart(bytes);
  if (!decoded.ok) return undefined;
  const olc = decoded.value.message;
  const number = olc.forwardLogicalChannelNumber;
  const { reverseLogicalChannelParameters: back, forwardLogicalChannelParameters: there } = olc;
  const content = back === undefined ? there : there.dataType.choice === 'nullData' ? back : undefined;
  const parameters = content?.multiplexParameters;
  if (content === undefined || parameters?.choice !== 'h2250LogicalChannelParameters') return undefined;
  const channel = channelOf(content.dataType, parameters.value);
  if (channel === undefined) return undefined;
  return { number, direction: back === undefined ? 'receive' : 'send', data: content.dataType, ...channel };
}

/** Takes the far end's proposals (Setup) into the call; what the user is told of them. */
export function readFastStart(stack: Stack, call: Call, items: readonly Uint8Array[]): FastStartOffer[] {
  for (const bytes of items.slice(0, MOST_PROPOSALS)) {
    const offered = understood(bytes);
    if (offered === undefined) stack.core.count('fast-start-unknown', call.remote);
    // A channel we would send on is of no use without the address to send to.
    else if (offered.direction === 'receive' || offered.remote !== undefined) call.offered.push(offered);
  }
  const kinds = [...new Set(call.offered.map((o) => o.capability.kind))];
  return kinds.map((kind) => offerOf(call, kind));
}

function offerOf(call: Call, kind: MediaKind): FastStartOffer {
  const mine = call.offered.filter((o) => o.capability.kind === kind);
  return {
    kind,
    send: mine
      .filter((o) => o.direction === 'send')
      .map(({ capability, remote, payloadType }) => ({
        capability,
        remote: remote!,
        ...(payloadType === undefined ? {} : { payloadType }),
      })),
    receive: mine
      .filter((o) => o.direction === 'receive')
      .map(({ capability, remoteRtcp, payloadType }) => ({
        capability,
        ...(remoteRtcp === undefined ? {} : { remoteRtcp }),
        ...(payloadType === undefined ? {} : { payloadType }),
      })),
  };
}

/** The user's choice: opens its channels and readies the answer for the next message. Choices that were not offered are left out. */
export function answerFastStart(
  stack: Stack,
  call: Call,
  choices: readonly FastStartChoice[] | undefined,
): void {
  if (choices === undefined || choices.length === 0 || call.fastStart !== 'open' || call.outgoing) return;
  const answer: Uint8Array[] = [];
  for (const choice of choices) {
    for (const direction of ['send', 'receive'] as const) {
      const capability = choice[direction];
      if (capability === undefined) continue;
      const offered = call.offered.find(
        (o) => o.direction === direction && sameOffer(o.capability, capability),
      );
      if (offered === undefined) {
        stack.core.count('fast-start-not-offered', call.remote);
        continue;
      }
      answer.push(encodeFastStart(answerTo(call, offered, capability, choice)));
    }
  }
  if (answer.length === 0) return;
  call.fastStart = 'answered';
  call.fastStartAnswer = answer;
}

function sameOffer(offered: H323Capability, chosen: H323Capability): boolean {
  if (!sameCodec(offered, chosen)) return false;
  if (offered.kind !== 'audio' || chosen.kind !== 'audio') return true;
  return offered.silenceSuppression === chosen.silenceSuppression && chosen.packetTime <= offered.packetTime;
}

function answerTo(
  call: Call,
  offered: OfferedChannel,
  capability: H323Capability,
  choice: FastStartChoice,
): OpenLogicalChannel {
  const { control } = call;
  const { local } = choice;
  const { kind } = capability;
  const data = spell(capability, offered.data);
  if (offered.direction === 'receive') {
    const { number, payloadType } = offered;
    control.receive.set(kind, { number, kind, capability, payloadType, state: 'open' });
    return forward(number, data, capability, { ...local, payloadType });
  }
  // H.323 8.1.7.1: the called side gives its own number to the channel it sends on.
  const number = control.nextChannel++;
  const { remote } = offered;
  const payloadType = offered.payloadType ?? choice.payloadType;
  control.send.set(kind, { number, kind, capability, payloadType, state: 'open', remote });
  return reverse(number, data, capability, { rtcp: local.rtcp, payloadType });
}

/** The far end's answer to our proposals: opens what it chose. */
export function fastStartAnswered(stack: Stack, call: Call, items: readonly Uint8Array[]): void {
  if (!call.outgoing || call.fastStart !== 'open' || items.length === 0) return;
  const channels: H323Channel[] = [];
  for (const bytes of items.slice(0, MOST_PROPOSALS)) {
    const answer = understood(bytes);
    const channel = answer === undefined ? undefined : taken(call, answer);
    if (channel === undefined) stack.core.count('fast-start-not-proposed', call.remote);
    else channels.push(channel);
  }
  if (channels.length === 0) return refuseFastStart(stack, call);
  call.fastStart = 'answered';
  stack.core.event({ kind: 'fast-start-answered', call: call.ref, channels });
}

/** In an answer to the caller the forward direction is the caller's own: what `understood` calls `receive` is our `send`. */
function taken(call: Call, answer: OfferedChannel): H323Channel | undefined {
  const direction = answer.direction === 'receive' ? 'send' : 'receive';
  const fits = (p: FastStartProposed): boolean =>
    p.direction === direction && sameCodec(p.capability, answer.capability);
  const proposed =
    call.proposed.find((p) => fits(p) && p.number === answer.number) ?? call.proposed.find(fits);
  if (proposed === undefined) return undefined;
  const { capability } = answer;
  const { kind } = capability;
  const { control } = call;
  const payloadType = direction === 'send' ? proposed.payloadType : answer.payloadType;
  const dynamic = payloadType === undefined ? {} : { payloadType };
  if (direction === 'send') {
    const { remote } = answer;
    if (remote === undefined || control.send.has(kind)) return undefined;
    const { number } = proposed;
    control.send.set(kind, { number, kind, capability, payloadType, state: 'open', remote });
    return { kind, direction, capability, remote, ...dynamic };
  }
  if (control.receive.has(kind)) return undefined;
  control.receive.set(kind, { number: answer.number, kind, capability, payloadType, state: 'open' });
  const { remoteRtcp } = answer;
  return { kind, direction, capability, ...(remoteRtcp === undefined ? {} : { remoteRtcp }), ...dynamic };
}

/** The caller went on to H.245 before we answered its FastStart: told to the user, whose choices come too late. */
export function giveUpFastStart(stack: Stack, call: Call): void {
  if (call.outgoing || call.fastStart !== 'open') return;
  call.fastStart = 'refused';
  stack.core.event({ kind: 'fast-start-refused', call: call.ref });
}

/** H.323 8.1.7.1: Connect without an answer, or fastConnectRefused. */
export function refuseFastStart(stack: Stack, call: Call): void {
  if (call.fastStart !== 'open') return;
  call.fastStart = 'refused';
  if (call.outgoing) stack.core.event({ kind: 'fast-start-refused', call: call.ref });
}
