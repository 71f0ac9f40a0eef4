import type { Millis, Random } from '../machine/machine.ts';
import type { TokenBucket } from '../machine/token-bucket.ts';
import type { PlaneFormat, StreamLegConfig, UdptlLimits } from '../media/plane-contract.ts';
import { takes } from '../media/stream-config.ts';
import type { SourceLock } from '../rtp/source-lock.ts';
import { byteBucket, UdptlCheck, type UdptlRules } from '../rtp/udptl-check.ts';
import { type UdptlManner, UdptlSender } from '../rtp/udptl-sender.ts';

/** T.38 with what both ends described. */
type FaxFormat = PlaneFormat & { readonly udptl: UdptlLimits };

/**
 * What a fax stream has in place of RTP's checks, numbers and reports. UDPTL ends here: through the tunnel goes each IFP packet once, in a frame of
 * its own. The frame's sequence counts frames without gaps, so that what the far gateway misses is the tunnel's doing and worth waiting for;
 * its timestamp is the UDPTL number on this gateway's scale, with the gaps that the far end's repetitions could not fill.
 */
export class FaxStream {
  readonly check: UdptlCheck;
  readonly sender: UdptlSender;
  format: FaxFormat;
  /** How the far end wants its datagrams. */
  manner: UdptlManner;
  /** Octets of IFP packets from the tunnel. */
  bytes: TokenBucket;
  #frame: number;

  constructor(
    config: StreamLegConfig,
    format: FaxFormat,
    lock: SourceLock,
    random: Random,
    now: Millis,
    resume: number | undefined,
  ) {
    this.format = format;
    this.manner = mannerOf(format);
    this.#frame = random.uint32() & 0xffff;
    this.check = new UdptlCheck(rulesOf(config, format), lock, random.uint32() & 0xffff, now);
    this.sender = new UdptlSender(format.maxPayload, resume);
    this.bytes = byteBucket(format.udptl, now);
  }

  modify(config: StreamLegConfig, format: FaxFormat, now: Millis): void {
    if (format.udptl.maxBytesPerSecond !== this.format.udptl.maxBytesPerSecond)
      this.bytes = byteBucket(format.udptl, now);
    this.format = format;
    this.manner = mannerOf(format);
    this.check.setRules(rulesOf(config, format), now);
  }

  /** Sequence of the next frame to the tunnel. */
  nextFrame(): number {
    this.#frame = (this.#frame + 1) & 0xffff;
    return this.#frame;
  }
}

/** The one format of a fax stream; undefined: it is none. */
export function faxFormat(config: StreamLegConfig): FaxFormat | undefined {
  return config.formats.find(
    (format): format is FaxFormat => format.kind === 'udptl' && format.udptl !== undefined,
  );
}

function mannerOf({ udptl }: FaxFormat): UdptlManner {
  return { redundancy: udptl.redundancy, maxDatagram: udptl.maxDatagramOut };
}

function rulesOf(config: StreamLegConfig, format: FaxFormat): UdptlRules {
  return {
    receive: takes(config),
    maxDatagram: format.udptl.maxDatagramIn,
    maxPacketsPerSecond: format.maxPacketsPerSecond,
    maxBytesPerSecond: format.udptl.maxBytesPerSecond,
  };
}
