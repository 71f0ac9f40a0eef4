/** T.38 as the plane needs to know it: sizes and rates from what both ends described (T.38 D.2.1, H.245 T38FaxProfile). */
import type { Format, FormatParameter, ParameterName } from '../meta/message.ts';
import type { PlaneFormat } from './plane-contract.ts';

/** bit/s. T.38 D.2.1 has no default; 14 400 is V.17, and 33 600 (V.34) the fastest there is. */
const USUAL_BIT_RATE = 14_400;
const MAX_BIT_RATE = 33_600;
/**
 * Octets of a datagram. What a far end is told is the other one's T38FaxMaxDatagram, which devices set as low as 72 and then exceed with their
 * repetitions: a fax at 14 400 bit/s in packets of 40 ms, sent four times, is taken in any case.
 */
const LEAST_DATAGRAM = 400;
/** Fits a UDP packet that is not fragmented on Ethernet with IPv6. */
const MOST_DATAGRAM = 1400;
/** Octets of sequence number and lengths, and of type and field in an IFP packet. */
const DATAGRAM_OVERHEAD = 24;
/** Packets of 10 ms, and indicators and ends that come three times at once. */
const PACKETS_PER_SECOND = 200;
/** Each IFP packet comes so often at most on average; devices repeat slow signalling up to seven times and pages up to three. */
const COPIES = 5;
/** What we repeat ourselves. */
const REDUNDANCY = 3;

function number(parameters: readonly FormatParameter[], name: ParameterName): number | undefined {
  const value = parameters.find((p) => p.name === name)?.value;
  return value === undefined || !/^\d{1,6}$/.test(value) ? undefined : Number(value);
}

/** `format`: as described to the far end; `far`: as the far end described it, absent: not yet. */
export function faxPlaneFormat(format: Format, far: readonly FormatParameter[] = []): PlaneFormat {
  const rates = [format.parameters, far].map((p) => number(p, 't38-bitrate') ?? USUAL_BIT_RATE);
  const bitRate = Math.min(MAX_BIT_RATE, Math.max(USUAL_BIT_RATE, ...rates));
  const told = number(format.parameters, 't38-max-datagram') ?? LEAST_DATAGRAM;
  const maxDatagramIn = Math.min(MOST_DATAGRAM, Math.max(LEAST_DATAGRAM, told));
  const repair = far.find((p) => p.name === 't38-udp-ec')?.value;
  return {
    format: format.id,
    receivePayloadType: -1,
    sendPayloadType: -1,
    clockRate: 0,
    maxPayload: maxDatagramIn,
    maxPacketsPerSecond: PACKETS_PER_SECOND,
    kind: 'udptl',
    udptl: {
      maxDatagramIn,
      maxBytesPerSecond: COPIES * (bitRate / 8 + (PACKETS_PER_SECOND / 4) * DATAGRAM_OVERHEAD),
      // Every UDPTL receiver has to read past repetitions (T.38 9.1.3): also one that asked for parities, or for nothing.
      redundancy: repair === 't38UDPNoEC' ? 0 : REDUNDANCY,
      maxDatagramOut: Math.min(MOST_DATAGRAM, number(far, 't38-max-datagram') ?? LEAST_DATAGRAM),
    },
  };
}
