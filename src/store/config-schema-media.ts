/** The key `media` of the configuration's definition (config-schema.ts). */
import { z } from 'zod';
import { FORMAT_NAMES } from '../meta/message.ts';
import { ip, symmetric } from './config-schema-values.ts';

const pool = z
  .strictObject({
    ip: ip().describe('Address RTP sockets are bound to.'),
    advertise: ip().exactOptional().describe('Address as the far side sees it (static NAT); used in SDP.'),
    ports: z
      .tuple([z.int().min(1024).max(65535), z.int().min(1024).max(65535)])
      .default([16384, 32767])
      .describe('First and last UDP port, inclusive; RTP takes the even ones, RTCP the next odd one.'),
  })
  .describe('UDP ports for media of one address family.');

export const media = z
  .strictObject({
    pools: z
      .array(pool)
      .max(2)
      .default([])
      .describe(
        'One per address family. Default: one for each family of `sip.listeners` and `h323.listeners`, at that address.',
      ),
    workers: z.int().min(1).max(64).default(1).describe('Media worker processes.'),
    implementation: z
      .enum(['auto', 'koffi', 'dgram'])
      .default('auto')
      .describe('auto: batched system calls where koffi loads, else plain sockets.'),
    codecs: z
      .array(z.enum(FORMAT_NAMES))
      .min(1)
      .default(['G722', 'PCMA', 'PCMU', 'OPUS', 'G729', 'telephone-event', 'CN', 'T38'])
      .describe(
        'Formats that may be used, in order of preference. Everything else is taken out of offers. `T38`: fax over UDPTL; without it a fax goes on as sound.',
      ),
    symmetric: symmetric()
      .default('signalled')
      .describe(
        'Where media may come from: `signalled`: the address in SDP; `latch`: the first valid source in a short window (phones behind NAT).',
      ),
    sharedPorts: z
      .boolean()
      .default(false)
      .describe(
        'One pair of ports per worker for all streams of peers with `symmetric: signalled`, told apart by their exact source: less CPU per packet. Not for peers that send several streams from one address and port.',
      ),
  })
  .describe('Media.');
