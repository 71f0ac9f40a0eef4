import type { LegLocal, StreamLegConfig } from '../../../src/media/plane-contract.ts';

export const BENCH_SESSION = 'bench';

/** One side of a G.711 call, as media control would open it. */
export function voiceLeg(
  stream: number,
  local: LegLocal,
  remote: { readonly ip: string; readonly port: number },
): StreamLegConfig {
  return {
    session: BENCH_SESSION,
    stream,
    call: `bench-${stream}`,
    kind: 'audio',
    priority: 'normal',
    local,
    rtcpMux: false,
    remote,
    source: 'signalled',
    latchWindowMs: 5000,
    direction: 'sendrecv',
    formats: [
      {
        format: 0,
        receivePayloadType: 0,
        sendPayloadType: 0,
        clockRate: 8000,
        maxPayload: 240,
        maxPacketsPerSecond: 120,
        kind: 'voice',
      },
    ],
    cname: 'bench@gateway',
  };
}
