/**
 * The one definition of the configuration file: keys, types, ranges, defaults and their meaning. The reader (config.ts), the
 * JSON Schema (schema.ts) and the reference in docs/configuration.md all come from it. Keys mirror gateway/config.ts.
 */
import { z } from 'zod';
import { FORMAT_NAMES } from '../meta/message.ts';
import { patternProblem } from '../policy/number-pattern.ts';
import { h323, h323Peer } from './config-schema-h323.ts';
import { address, cidr, ip, label } from './config-schema-values.ts';

const gatewayName = () =>
  z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$/, {
    error: 'must be 1 to 64 characters a-z, 0-9, "-" and ".", starting and ending with a letter or digit',
  });
const path = () => z.string().min(1).max(4096);
const digits = () =>
  z.string().regex(/^[0-9*#]{1,32}$/, { error: 'must be 1 to 32 digits ("+" is not part of a number)' });
/** A number pattern as policy/number-pattern.ts understands it. */
const numberPattern = () =>
  z.string().check((context) => {
    const text = context.value;
    const small = /^[+0-9xnXN*#.]*[xn][+0-9xnXN*#.]*$/.test(text);
    const problem = small ? 'write "X" and "N" as capitals' : patternProblem(text);
    if (problem === undefined) return;
    const notation =
      'use digits, "X" (one digit), "N" (2 to 9), "." at the end (any digits), "*" alone (everything), "+" in front (international)';
    const message = `"${text}" is not a number pattern: ${problem}; ${notation}`;
    context.issues.push({ code: 'custom', message, input: text });
  });
const transport = () => z.enum(['udp', 'tcp', 'tls']);
const symmetric = () => z.enum(['signalled', 'latch']);
/** Most networks in one list; longer lists belong into the firewall. */
const NETWORKS = 4096;

const site = z
  .strictObject({
    name: gatewayName().describe("The relay gateway's name, as in its tunnel certificate."),
    maxCalls: z.int().min(1).max(100_000).default(1000).describe('Most calls of this site at a time.'),
    maxCallsPerSecond: z
      .number()
      .min(0.1)
      .max(10_000)
      .default(50)
      .describe('New calls per second, both directions.'),
    maxMediaBytesPerSecond: z
      .int()
      .min(8_000)
      .max(10_000_000_000)
      .default(25_000_000)
      .describe('Most octets per second taken from the media connections of this site.'),
  })
  .describe('One site: a relay gateway that may dial this termination gateway.');

const tunnel = z
  .strictObject({
    signalling: address()
      .exactOptional()
      .describe('Termination: where to listen, default "0.0.0.0:7060". Relay: where to dial (required).'),
    media: address()
      .exactOptional()
      .describe('Same for the media connections; default: the address of `signalling` with port 7061.'),
    certificate: path()
      .exactOptional()
      .describe(
        'PEM file of the tunnel certificate; its DNS subjectAltName is `name`. Default "pki/NAME.crt".',
      ),
    key: path().exactOptional().describe('PEM file of its private key, mode 0600. Default "pki/NAME.key".'),
    ca: path()
      .default('pki/ca.crt')
      .describe('PEM file of the CA (or CAs) the far gateway must be certified by.'),
    peerName: gatewayName()
      .exactOptional()
      .describe("Relay only, required: the termination gateway's name, as in its certificate."),
    sites: z.array(site).max(1000).default([]).describe('Termination only, at least one: who may dial.'),
    lanes: z.int().min(1).max(32).default(2).describe('Relay only: number of media connections.'),
  })
  .describe('Connection control: the two TCP ports between the gateways.');

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

const media = z
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

const credentials = z
  .strictObject({
    username: z.string().min(1).max(128).describe('User name.'),
    password: z.string().min(1).max(256).describe('Password.'),
    realm: z.string().min(1).max(256).exactOptional().describe('Answer challenges of this realm only.'),
  })
  .describe("Answers this peer's digest challenges (RFC 7616), nobody else's.");

const peer = z
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
