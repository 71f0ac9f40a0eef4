import type { Millis, Random } from '../machine/machine.ts';
import { TokenBucket } from '../machine/token-bucket.ts';
import type { PlaneFormat, StreamLegConfig, UdptlLimits } from '../media/plane-contract.ts';
import { MAX_DATAGRAM } from '../rtp/packet.ts';
import type { SourceLock } from '../rtp/source-lock.ts';
import { UdptlCheck, type UdptlRules } from '../rtp/udptl-check.ts';
import { UdptlSender } from '../rtp/udptl-sender.ts';

/**
 * What a fax stream has in place of RTP's checks, numbers and reports. UDPTL ends here: through the tunnel goes each IFP packet once, in a frame of
 * its own. The frame's sequence counts frames without gaps, so that what the far gateway misses is the tunnel's doing and worth waiting for;
 * its timestamp is the UDPTL number on this gateway's scale, with the gaps that the far end's repetitions could not fill.
 */
export class FaxStream {
  readonly check: UdptlCheck;
  readonly sender: UdptlSender;
  format: PlaneFormat;
  /** Octets of IFP packets from the tunnel. */
  bytes: TokenBucket;
  #frame: number;

  constructor(
    config: StreamLegConfig,
    format: PlaneFormat & { readonly udptl: UdptlLimits },
    lock: SourceLock,
    random: Random,
    now: Millis,
    resume: number | undefined,
  ) {
    this.format = format;
    this.#frame = random.uint32() & 0xffff;
    this.check = new UdptlCheck(rulesOf(config, format), lock, random.uint32() & 0xffff, now);
    this.sender = new UdptlSender(format.maxPayload, resume);
    this.bytes = byteBucket(format.udptl, now);
  }

  get limits(): UdptlLimits {
    return this.format.udptl!;
  }

  modify(config: StreamLegConfig, format: PlaneFormat & { readonly udptl: UdptlLimits }, now: Millis): void {
    if (format.udptl.maxBytesPerSecond !== this.limits.maxBytesPerSecond)
      this.bytes = byteBucket(format.udptl, now);
    this.format = format;
    this.check.setRules(rulesOf(config, format), now);
  }

  /** Sequence of the next frame to the tunnel. */
  nextFrame(): number {
    this.#frame = (this.#frame + 1) & 0xffff;
    return this.#frame;
  }
}

/** The one format of a fax stream; undefined: it is none. */
export function faxFormat(
  config: StreamLegConfig,
): (PlaneFormat & { readonly udptl: UdptlLimits }) | undefined {
  for (const format of config.formats) {
    const { udptl } = format;
    if (format.kind === 'udptl' && udptl !== undefined) return { ...format, udptl };
  }
  return undefined;
}

function rulesOf(config: StreamLegConfig, format: PlaneFormat & { readonly udptl: UdptlLimits }): UdptlRules {
  return {
    receive: config.direction === 'sendrecv' || config.direction === 'recvonly',
    maxDatagram: format.udptl.maxDatagramIn,
    maxPacketsPerSecond: format.maxPacketsPerSecond,
    maxBytesPerSecond: format.udptl.maxBytesPerSecond,
  };
}

function byteBucket({ maxBytesPerSecond: rate }: UdptlLimits, now: Millis): TokenBucket {
  return new TokenBucket(Math.max(MAX_DATAGRAM, rate), rate, now);
}
