/** What a simulated H.323 endpoint can send and receive, where, and what it proposes and takes of it by FastStart. */
import type {
  FastStartChoice,
  FastStartProposal,
  H323Capabilities,
  H323Capability,
  MediaAddress,
} from '../../src/h323/media-contract.ts';
import type { Address } from '../../src/machine/address.ts';
import type { H323SimCall } from './h323-call.ts';

export type AudioCodec = Extract<H323Capability, { kind: 'audio' }>['codec'];

/** What it has of T.38. */
export const FAX: H323Capability = {
  kind: 'image',
  codec: 'T38',
  maxBitRate: 9600,
  version: 0,
  rateManagement: 'transferredTCF',
  maxBuffer: 200,
  maxDatagram: 120,
  errorCorrection: 'redundancy',
};

export interface SimH323MediaOptions {
  readonly codecs?: readonly AudioCodec[];
  /** Has video besides: in its capabilities, and in its FastStart unless that is for sound alone. */
  readonly video?: 'H264' | 'H263';
  readonly fastVideo?: boolean;
  /** Has T.38 besides: in its capabilities. `only`: and no sound; its FastStart is of a fax. */
  readonly fax?: boolean | 'only';
  /** Takes telephone events in RTP. */
  readonly rfc4733?: boolean;
}

export class SimH323Media {
  readonly hasFax: boolean;
  readonly codecs: readonly AudioCodec[];
  /** Of the sound's RTP; the others' ports are above it. */
  readonly address: Address;
  readonly #options: SimH323MediaOptions;

  constructor(address: Address, options: SimH323MediaOptions) {
    this.address = address;
    this.#options = options;
    this.hasFax = (options.fax ?? false) !== false;
    this.codecs = options.fax === 'only' ? [] : (options.codecs ?? ['PCMA', 'PCMU']);
  }

  audio(codec: AudioCodec): H323Capability {
    return { kind: 'audio', codec, packetTime: codec === 'G723' ? 30 : 20, silenceSuppression: false };
  }

  get video(): H323Capability | undefined {
    const { video } = this.#options;
    if (video === undefined) return undefined;
    if (video === 'H263') return { kind: 'video', codec: 'H263', maxBitRate: 384_000, cif: 1, qcif: 1 };
    // Baseline, level 1.3: lower than what others may offer.
    return {
      kind: 'video',
      codec: 'H264',
      maxBitRate: 384_000,
      profile: 64,
      level: 36,
      packetizationMode: 1,
    };
  }

  get capabilities(): H323Capabilities {
    const { video } = this;
    return {
      media: [
        ...this.codecs.map((c) => this.audio(c)),
        ...(video === undefined ? [] : [video]),
        ...(this.hasFax ? [FAX] : []),
      ],
      userInput: {
        alphanumeric: true,
        signal: true,
        ...(this.#options.rfc4733 === true ? { rfc4733PayloadType: 99 } : {}),
      },
    };
  }

  local(kind: 'audio' | 'video' | 'image'): MediaAddress {
    const { ip, port } = this.address;
    if (kind === 'image') return { rtp: { ip, port: port + 4 } };
    const rtp = { ip, port: kind === 'video' ? port + 2 : port };
    return { rtp, rtcp: { ip, port: rtp.port + 1 } };
  }

  proposals(): FastStartProposal[] {
    const { video } = this;
    const main: FastStartProposal =
      this.#options.fax === 'only'
        ? { kind: 'image', capabilities: [FAX], direction: 'both', local: this.local('image') }
        : {
            kind: 'audio',
            capabilities: this.codecs.map((c) => this.audio(c)),
            direction: 'both',
            local: this.local('audio'),
          };
    if (video === undefined || this.#options.fastVideo === false) return [main];
    const local = this.local('video');
    return [main, { kind: 'video', capabilities: [video], direction: 'both', local, payloadType: 99 }];
  }

  /** Our part of the call's FastStart, whose channels are open from now on. `fax`: it may be of a fax alone. */
  choices(call: H323SimCall, fax: boolean): { fastStart?: readonly FastStartChoice[] } {
    const audio = call.offers.find((o) => o.kind === 'audio');
    if (call.fast !== 'offered') return {};
    if (audio === undefined) return fax ? this.#faxChoice(call) : refused(call);
    for (const codec of this.codecs) {
      const to = audio.send.find((s) => s.capability.codec === codec);
      const from = audio.receive.find((r) => r.capability.codec === codec);
      if (to === undefined || from === undefined) continue;
      call.fast = 'taken';
      call.open({ kind: 'audio', direction: 'send', capability: to.capability, remote: to.remote });
      call.open({ kind: 'audio', direction: 'receive', capability: from.capability });
      const local = this.local('audio');
      const sound = { kind: 'audio', send: to.capability, receive: from.capability, local } as const;
      return { fastStart: [sound, ...this.#videoChoice(call)] };
    }
    return refused(call);
  }

  #faxChoice(call: H323SimCall): { fastStart?: readonly FastStartChoice[] } {
    const image = call.offers.find((o) => o.kind === 'image');
    const [to] = image?.send ?? [];
    const [from] = image?.receive ?? [];
    if (!this.hasFax || to === undefined || from === undefined) return refused(call);
    call.fast = 'taken';
    call.faxing = true;
    const kind = 'image' as const;
    call.open({ kind, direction: 'send', capability: to.capability, remote: to.remote });
    call.open({ kind, direction: 'receive', capability: from.capability });
    const local = this.local(kind);
    return { fastStart: [{ kind, send: to.capability, receive: from.capability, local }] };
  }

  #videoChoice(call: H323SimCall): FastStartChoice[] {
    const offer = call.offers.find((o) => o.kind === 'video');
    const { video, fastVideo } = this.#options;
    const to = offer?.send.find((s) => s.capability.codec === video);
    const from = offer?.receive.find((r) => r.capability.codec === video);
    if (to === undefined || from === undefined || fastVideo === false) return [];
    const { capability, remote, payloadType = 98 } = to;
    const kind = 'video' as const;
    call.open({ kind, direction: 'send', capability, remote });
    call.open({ kind, direction: 'receive', capability: from.capability });
    return [{ kind, send: capability, receive: from.capability, local: this.local(kind), payloadType }];
  }
}

function refused(call: H323SimCall): Record<never, never> {
  call.fast = 'refused';
  return {};
}
