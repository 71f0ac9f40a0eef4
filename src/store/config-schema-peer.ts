/** One of `peers` in the configuration's definition (config-schema.ts). */
import { z } from 'zod';
import { h323Peer } from './config-schema-h323.ts';
import { cidr, label, NETWORKS, symmetric, transport } from './config-schema-values.ts';

const credentials = z
  .strictObject({
    username: z.string().min(1).max(128).describe('User name.'),
    password: z.string().min(1).max(256).describe('Password.'),
    realm: z.string().min(1).max(256).exactOptional().describe('Answer challenges of this realm only.'),
  })
  .describe("Answers this peer's digest challenges (RFC 7616), nobody else's.");

export const peer = z
  .strictObject({
    name: label().describe('Name to refer to in `routes`, in metrics and records.'),
    protocol: z.enum(['sip', 'h323']).default('sip').describe('Signalling protocol.'),
    host: z
      .string()
      .regex(/^(|[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\.?|[0-9A-Fa-f:.]+)$/, {
        error: 'must be a host name or an address without port and brackets; the port has its own key `port`',
      })
      .default('')
      .describe(
        'Host name (SIP: RFC 3263) or address calls go to. Empty: calls only come from this peer (remote users).',
      ),
    port: z
      .int()
      .min(1)
      .max(65535)
      .exactOptional()
      .describe('Port; without it RFC 3263 decides; H.323: 1720.'),
    transport: transport().exactOptional().describe('SIP only: transport; without it RFC 3263 decides.'),
    listener: label().exactOptional().describe('Listener to send from; default: the first that fits.'),
    sources: z
      .array(cidr())
      .max(NETWORKS)
      .default([])
      .describe('Networks whose requests are taken as this peer, besides `host` where that is an address.'),
    certificateName: z
      .string()
      .min(1)
      .max(253)
      .exactOptional()
      .describe('TLS client certificate (DNS name) that is taken as this peer.'),
    credentials: credentials.exactOptional(),
    register: z
      .boolean()
      .exactOptional()
      .describe(
        'SIP only: this gateway registers there with `credentials`, so that the trunk sends it its calls (RFC 3261 10.2). A call to the registered contact goes to the number in To.',
      ),
    registerAs: z
      .string()
      .regex(/^[A-Za-z0-9+*#._~-]{1,128}$/, { error: 'must be 1 to 128 letters, digits or "+*#._~-"' })
      .exactOptional()
      .describe('User part of the registered address; default: `credentials.username`.'),
    registerDomain: z
      .string()
      .regex(/^[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?$/, { error: 'must be a host name' })
      .exactOptional()
      .describe('Domain of the registered address; default: `host`.'),
    registerSeconds: z
      .int()
      .min(30)
      .max(86_400)
      .exactOptional()
      .describe('Seconds asked for; the trunk may grant less. Default: 600.'),
    authenticate: z
      .enum(['none', 'digest'])
      .default('none')
      .describe(
        'digest: INVITE and REGISTER of this peer are challenged; accounts of the relay gateway decide.',
      ),
    challenges: z
      .array(z.enum(['SHA-256', 'MD5']))
      .min(1)
      .max(2)
      .exactOptional()
      .describe(
        'Algorithms offered in challenges, in order. Default: SHA-256, then MD5 (RFC 8760). `[MD5]` for old phones that give up where SHA-256 is offered.',
      ),
    trusted: z
      .boolean()
      .default(false)
      .describe('P-Asserted-Identity is believed from and sent to this peer (RFC 3325).'),
    mayTransfer: z
      .boolean()
      .exactOptional()
      .describe(
        'It may ask for the other party of its calls to be transferred (REFER). Default: true on a relay gateway, false on a termination gateway, where it would let a stranger make calls of the enterprise.',
      ),
    transferable: z
      .boolean()
      .exactOptional()
      .describe(
        'Its calls may be transferred where the other party asks the other gateway for it. Default: true on a termination gateway, false on a relay gateway.',
      ),
    probeSeconds: z
      .int()
      .min(0)
      .max(3600)
      .default(30)
      .describe('SIP only: OPTIONS probe every so many seconds; 0: none.'),
    symmetric: symmetric().exactOptional().describe('Overrides `media.symmetric` for this peer.'),
    sharedPorts: z.boolean().exactOptional().describe('Overrides `media.sharedPorts` for this peer.'),
    fax: z
      .boolean()
      .exactOptional()
      .describe(
        'T.38 with this peer. Default: where `media.codecs` names `T38`. Refused with 488; the call goes on.',
      ),
    mediaNetworks: z
      .array(cidr())
      .max(NETWORKS)
      .default([])
      .describe(
        'Media addresses this peer may name. Empty: termination: any public one, or that of its signalling; relay: `host` and the top-level `mediaNetworks`.',
      ),
    maxCalls: z.int().min(0).max(100_000).default(2000).describe('Most calls with this peer at a time.'),
    h323: h323Peer.exactOptional(),
  })
  .describe('A SIP or H.323 neighbour on the own side of this gateway.');
