/**
 * The one definition of the configuration file: keys, types, ranges, defaults and their meaning. The reader (config.ts), the
 * JSON Schema (schema.ts) and the reference in docs/configuration.md all come from it. Keys mirror gateway/config.ts.
 */
import { z } from 'zod';
import { h323 } from './config-schema-h323.ts';
import { media } from './config-schema-media.ts';
import { peer } from './config-schema-peer.ts';
import { tunnel } from './config-schema-tunnel.ts';
import {
  address,
  cidr,
  digits,
  gatewayName,
  label,
  NETWORKS,
  numberPattern,
  path,
  transport,
} from './config-schema-values.ts';

const listener = z
  .strictObject({
    name: label().describe('Name to refer to in `peers`.'),
    transport: transport().describe('udp, tcp or tls.'),
    address: address().describe('Where to listen.'),
    advertise: address()
      .exactOptional()
      .describe(
        'Address as the far side sees it (static NAT); used in Via and Contact. Required where `address` is a wildcard.',
      ),
    certificate: path().exactOptional().describe('TLS only, required: PEM certificate file (with chain).'),
    key: path().exactOptional().describe('TLS only, required: PEM private key file, mode 0600.'),
    clientCa: path()
      .exactOptional()
      .describe('TLS only: PEM file; client certificates are asked for and verified against it.'),
  })
  .describe('A SIP socket of this gateway on its own side.');

const sip = z
  .strictObject({
    listeners: z.array(listener).max(64).default([]).describe('SIP sockets.'),
    domain: z
      .string()
      .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/, {
        error: 'must be a DNS name, for example "example.com"',
      })
      .exactOptional()
      .describe('Domain for which remote users register (termination); also the host in From where given.'),
  })
  .describe('SIP on the own side of this gateway.');

const account = z
  .strictObject({
    username: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/, { error: 'must be 1 to 64 letters, digits, ".", "_" or "-"' })
      .describe('User part of the address and digest user name.'),
    password: z
      .string()
      .min(8)
      .max(256)
      .exactOptional()
      .describe('Relay only, and there always: digest password, at least 8 characters.'),
    site: gatewayName()
      .exactOptional()
      .describe(
        'Termination only: the site that knows this account (its password stands there). Accounts that are not listed are those of the first site.',
      ),
    number: digits().describe('The number calls of this account come from and go to.'),
    displayName: z.string().min(1).max(128).exactOptional().describe('Name shown to the called party.'),
  })
  .describe('A remote user.');

const route = z
  .strictObject({
    name: label().describe('Name, shown in records and by `voip-sgw route-test`.'),
    from: z
      .string()
      .regex(/^(tunnel|peers|peer:[A-Za-z0-9._-]+|tunnel:[a-z0-9.-]+)$/, {
        error: 'must be "tunnel", "peers", "peer:NAME" or "tunnel:SITE"',
      })
      .transform((text) => text as 'tunnel' | 'peers' | `peer:${string}` | `tunnel:${string}`)
      .describe(
        'Where the call comes from: "tunnel", "peers" (any on the own side), "peer:NAME" or "tunnel:SITE".',
      ),
    match: numberPattern().describe(
      'Called number: digits, `X` one digit, `N` 2 to 9, `.` at the end any digits, `*` everything, leading `+` international; or a name, exactly.',
    ),
    callerMatch: numberPattern().exactOptional().describe('Calling number, same notation; default: any.'),
    to: z
      .string()
      .regex(/^(tunnel|tunnel:[a-z0-9.-]+|peer:[A-Za-z0-9._-]+|registered|refuse:[0-9]{1,3})$/, {
        error: 'must be "tunnel", "tunnel:SITE", "peer:NAME", "registered" or "refuse:CAUSE"',
      })
      .describe(
        '"tunnel" ("tunnel:SITE" on a termination gateway of several sites), "peer:NAME", "registered" or "refuse:CAUSE" (Q.850, 1 to 127).',
      ),
    strip: z.int().min(0).max(32).default(0).describe('Digits taken off the front of the called number.'),
    prefix: z
      .string()
      .regex(/^\+?[0-9*#]{0,32}$/, { error: 'must be at most 32 digits, "+" allowed in front' })
      .default('')
      .describe('Then put in front of the called number; "+" makes it international.'),
    callerStrip: z
      .int()
      .min(0)
      .max(32)
      .default(0)
      .describe('Digits taken off the front of the calling number.'),
    callerPrefix: z
      .string()
      .regex(/^\+?[0-9*#]{0,32}$/, { error: 'must be at most 32 digits, "+" allowed in front' })
      .default('')
      .describe('Then put in front of the calling number.'),
  })
  .describe('A dial rule; the first that matches wins.');

const limits = z
  .strictObject({
    maxCalls: z.int().min(1).max(100_000).default(2000).describe('Most calls at a time.'),
    maxCallsPerSecond: z
      .number()
      .min(0.1)
      .max(10_000)
      .default(50)
      .describe('New calls per second; bursts of two seconds.'),
    maxCallsPerSecondPerSource: z
      .number()
      .min(0.1)
      .max(10_000)
      .default(10)
      .describe('Same for one source address.'),
    maxMediaBytesPerSecond: z
      .int()
      .min(8_000)
      .max(10_000_000_000)
      .default(25_000_000)
      .describe("Most octets per second taken from the tunnel's media connections."),
    preemption: z
      .boolean()
      .exactOptional()
      .describe(
        'An emergency call of the intranet, or of a user who has authenticated, that finds every place taken ends another call (cause 8). Default: true.',
      ),
    maxRingSeconds: z.int().min(10).max(3600).default(180).describe('A call not answered after this ends.'),
    maxCallSeconds: z.int().min(60).max(604_800).default(14_400).describe('Any call ends after this.'),
    mediaSilenceSeconds: z
      .int()
      .min(0)
      .max(86_400)
      .default(300)
      .describe(
        'A call without a media packet either way for so long ends, 0: never. Held and emergency calls do not count.',
      ),
    connectionsPerSource: z
      .int()
      .min(1)
      .max(10_000)
      .default(20)
      .describe('Most TCP and TLS connections of one source address.'),
  })
  .describe('Limits of this gateway, whatever the far one allows.');

const operator = z
  .strictObject({
    socket: path()
      .exactOptional()
      .describe(
        'UNIX socket the commands `calls`, `trace`, `status` use, mode 0600. Default "/run/voip-sgw/NAME.sock".',
      ),
    metrics: address()
      .exactOptional()
      .describe('Prometheus metrics over HTTP; a loopback address. Default: off.'),
  })
  .describe('Operation.');

/** The whole file. Output type: as read, defaults of single keys filled in; defaults that depend on others follow in config.ts. */
export const configSchema = z
  .strictObject({
    role: z
      .enum(['termination', 'relay'])
      .describe('termination: GW2, in the DMZ. relay: GW1, in the intranet.'),
    name: gatewayName().describe('Name of this gateway, as in its tunnel certificate.'),
    tunnel,
    sip: sip.prefault({}),
    h323: h323.exactOptional(),
    media: media.prefault({}),
    peers: z
      .array(peer)
      .max(1000)
      .default([])
      .describe('SIP and H.323 neighbours. A relay gateway contacts nobody else.'),
    accounts: z
      .array(account)
      .max(100_000)
      .default([])
      .describe(
        'Remote users. Relay: with their passwords. Termination: only those of another site than the first, with the site and without password.',
      ),
    routes: z
      .array(route)
      .max(10_000)
      .default([])
      .describe('Dial rules, first match wins; no match: refused with cause 1.'),
    limits: limits.prefault({}),
    emergency: z
      .array(digits())
      .max(100)
      .default(['112', '911'])
      .describe('Numbers as dialled that go before everything else.'),
    ownNumbers: z
      .array(numberPattern())
      .max(1000)
      .default([])
      .describe(
        'Numbers and patterns (as in routes) of the enterprise itself: a caller from outside may not claim one without authentication.',
      ),
    mediaNetworks: z
      .array(cidr())
      .max(NETWORKS)
      .default([])
      .describe(
        "Relay only: networks media may be exchanged with besides the peers' own addresses (phones).",
      ),
    operator: operator.prefault({}),
    log: z
      .strictObject({
        level: z
          .enum(['trace', 'debug', 'info', 'warn', 'error'])
          .default('info')
          .describe('Least level written. Whole numbers appear at debug and trace only.'),
      })
      .describe('JSON log on standard output.')
      .prefault({}),
    cdr: z
      .strictObject({
        file: path()
          .exactOptional()
          .describe('Call records, one JSON object a line; default: none are written.'),
        refusedPerSecond: z
          .number()
          .min(0)
          .max(1000)
          .default(2)
          .describe(
            'Most records per second of calls that this gateway refused, bursts of ten seconds; 0: none. A flood shall not fill the disk.',
          ),
      })
      .describe('Call records.')
      .prefault({}),
  })
  .describe('Configuration of one voip-sgw gateway.');

export type ConfigFile = z.output<typeof configSchema>;
