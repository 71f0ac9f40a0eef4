import { TokenBucket } from '../machine/token-bucket.js';
import { CidrSet, mediaAddressProblem } from '../policy/address-policy.js';
import { Admission, } from '../policy/admission.js';
import { CallerIdentity } from '../policy/caller-identity.js';
import { compileRoutes, } from '../policy/dial-rules.js';
import { EmergencyNumbers } from '../policy/emergency.js';
import { SourceBans } from '../policy/source-ban.js';
/** Meta messages per second (and burst) of one far gateway: far above what calls within the limits need. */
const META_MESSAGES_PER_SECOND = 5000;
const EMERGENCY_SHARE = 0.05;
const UNKNOWN = { number: '', numberType: 'unknown', privacy: 'allowed', verified: false };
/** What the SIP endpoint counts, as an offence of its source. */
const OFFENCES = {
    'authentication-refused': 'authentication',
    scanner: 'scanner',
    'foreign-dialog': 'malformed',
    'request-line': 'malformed',
    'content-length': 'malformed',
    'line-ending': 'malformed',
    utf8: 'malformed',
};
export class GatewayPolicy {
    #config;
    #peers = [];
    #own = new CidrSet([]);
    #plan;
    #emergency = new EmergencyNumbers([]);
    #identity = new CallerIdentity([]);
    #admission;
    #bans;
    #metaRates = new Map();
    /** Throws where routes do not compile: store/config.ts has refused such a configuration before. */
    constructor(config, now) {
        this.#config = config;
        this.#plan = planOf(config);
        this.#admission = new Admission(admissionLimits(config), now);
        this.#bans = new SourceBans({ exempt: (source) => this.#peerOf(source)?.everybody === false });
        this.configure(config, now);
    }
    configure(config, now) {
        const plan = planOf(config);
        this.#config = config;
        this.#plan = plan;
        this.#peers = config.peers
            .map((peer) => peerPolicy(config, peer))
            .sort((a, b) => Number(a.everybody) - Number(b.everybody));
        this.#own = new CidrSet(ownAddresses(config));
        this.#emergency = new EmergencyNumbers(config.emergency);
        this.#identity = new CallerIdentity(config.ownNumbers ?? []);
        this.#admission.configure(admissionLimits(config), now);
    }
    /** The peer a source belongs to: by certificate name, else by address; a peer for everybody comes last. Banned strangers: nobody. */
    identify(source, now) {
        const byName = this.#peers.find(({ peer }) => peer.certificateName !== undefined && source.certificateNames.includes(peer.certificateName));
        const found = byName ?? this.#peerOf(source.remote.ip);
        if (found === undefined)
            return undefined;
        if (found.everybody && this.#bans.banned(source.remote.ip, now))
            return undefined;
        return found.peer.name;
    }
    /** A refusal that the SIP endpoint has counted for `source`. */
    offence(reason, source, now) {
        const offence = OFFENCES[reason];
        return offence === undefined ? 'none' : this.#bans.offend(source, offence, now);
    }
    challenge(peer) {
        const config = this.#config.peers.find((p) => p.name === peer);
        if (config?.authenticate !== 'digest')
            return undefined;
        return {
            realm: this.#config.sip.domain ?? this.#config.name,
            algorithms: config.challenges ?? ['SHA-256', 'MD5'],
        };
    }
    mediaAddress(ip, peer, signallingSource) {
        const policy = this.#peers.find((p) => p.peer.name === peer);
        if (policy === undefined)
            return false;
        const rules = { networks: policy.media, closed: policy.mediaClosed, own: this.#own };
        return mediaAddressProblem(ip, rules, signallingSource) === undefined;
    }
    emergency(callee) {
        return this.#emergency.includes(callee);
    }
    /** `from`: 'peer:NAME' or 'tunnel:SITE'. */
    route(from, callee, caller) {
        return this.#plan.decide(from, callee, caller);
    }
    explain(from, callee) {
        return this.#plan.explain(from, callee, UNKNOWN);
    }
    /** The caller as this gateway vouches for it, or why the call is refused. */
    caller(caller, peer, account) {
        const config = this.#config.peers.find((p) => p.name === peer);
        return this.#identity.check(caller, {
            trusted: config?.trusted ?? false,
            outside: this.#config.role === 'termination',
            ...(account === undefined ? {} : { accountNumber: account }),
        });
    }
    /** Places taken. */
    get admitted() {
        return this.#admission.calls;
    }
    admit(request, now) {
        return this.#admission.admit(request, now);
    }
    leave(ticket) {
        this.#admission.leave(ticket);
    }
    /** Whether one more Meta message of this far gateway is within its rate. */
    metaMessage(site, now) {
        let bucket = this.#metaRates.get(site);
        if (bucket === undefined) {
            bucket = new TokenBucket(2 * META_MESSAGES_PER_SECOND, META_MESSAGES_PER_SECOND, now);
            this.#metaRates.set(site, bucket);
        }
        return bucket.take(now);
    }
    #peerOf(ip) {
        return this.#peers.find((p) => p.sources.has(ip));
    }
}
function planOf(config) {
    const plan = compileRoutes(config.routes);
    if (!plan.ok)
        throw new Error(plan.error.map((p) => `route ${p.route}: ${p.problem}`).join('; '));
    return plan.value;
}
function isAddress(host) {
    return new CidrSet([host]).invalid.length === 0;
}
function peerPolicy(config, peer) {
    const host = peer.host !== '' && isAddress(peer.host) ? [peer.host] : [];
    const everybody = peer.sources.some((s) => s.endsWith('/0'));
    // Where a peer may come from it may also receive, unless that is everywhere.
    const near = [...host, ...(everybody ? [] : peer.sources)];
    const relay = config.role === 'relay';
    return {
        peer,
        sources: new CidrSet([...host, ...peer.sources]),
        everybody,
        media: new CidrSet([...near, ...peer.mediaNetworks, ...(relay ? config.mediaNetworks : [])]),
        // GW1: a closed list, always. GW2: closed where the administrator has named networks.
        mediaClosed: relay || peer.mediaNetworks.length > 0,
    };
}
function ownAddresses(config) {
    const pools = config.media.pools.flatMap((p) => (p.advertise === undefined ? [p.ip] : [p.ip, p.advertise]));
    return pools.filter(isAddress);
}
function admissionLimits(config) {
    const { limits } = config;
    const site = config.role === 'relay'
        ? [
            [
                config.tunnel.peerName ?? '',
                { maxCalls: limits.maxCalls, maxCallsPerSecond: limits.maxCallsPerSecond },
            ],
        ]
        : config.tunnel.sites.map(({ name, maxCalls, maxCallsPerSecond }) => [name, { maxCalls, maxCallsPerSecond }]);
    return {
        maxCalls: limits.maxCalls,
        maxCallsPerSecond: limits.maxCallsPerSecond,
        maxCallsPerSecondPerSource: limits.maxCallsPerSecondPerSource,
        peers: new Map(config.peers.map((p) => [p.name, { maxCalls: p.maxCalls }])),
        sites: new Map(site),
        emergencyShare: EMERGENCY_SHARE,
    };
}
//# sourceMappingURL=gateway-policy.js.map