/**
 * Our registration at a peer's gatekeeper (H.323 7.2): discovery, registration, keep-alive, and again from the beginning
 * when the gatekeeper forgets us or falls silent; alternate gatekeepers it named are tried before its own address again.
 */
import type { Address } from '../../machine/address.ts';
import { sameAddress } from '../../machine/address.ts';
import type { Alarm } from '../../machine/alarm.ts';
import { fromH225, toH225 } from '../addresses.ts';
import type { AlternateGK, RasMessage } from '../asn1/h225-types.ts';
import type { Core } from '../core.ts';
import { ENDPOINT_TYPE, H225_PROTOCOL, VENDOR } from '../identity.ts';
import { cleanName, toAliases } from '../party.ts';
import type { H323GatekeeperAccess, H323Listener, H323Peer } from '../peer-contract.ts';
import type { Answer, Exchanges } from './exchange.ts';
import { rejectReason } from './exchange.ts';
import type { Credentials } from './security.ts';
import { ReplayWindow, verify } from './security.ts';

/** Milliseconds. */
const FIRST_RETRY = 5_000;
const LAST_RETRY = 60_000;
const DEFAULT_TTL_SECONDS = 300;
const LEAST_TTL_SECONDS = 10;
const MOST_ALTERNATES = 4;

const UNSIGNED: ReadonlySet<string> = new Set([
  'gatekeeperConfirm',
  'gatekeeperReject',
  'registrationReject',
]);

export class Registration {
  readonly peer: H323Peer;
  readonly access: H323GatekeeperAccess;
  state: 'idle' | 'discovering' | 'registering' | 'registered' | 'stopped' = 'idle';
  gatekeeper: Address | undefined;
  listener: H323Listener | undefined;
  gatekeeperIdentifier: string | undefined;
  endpointIdentifier: string | undefined;
  readonly #core: Core;
  readonly #exchanges: Exchanges;
  readonly #alarm: Alarm;
  readonly #window = new ReplayWindow();
  #alternates: Address[] = [];
  #retry = FIRST_RETRY;
  /** Counts attempts, so that an answer to an older one changes nothing. */
  #attempt = 0;

  constructor(core: Core, exchanges: Exchanges, peer: H323Peer, access: H323GatekeeperAccess) {
    this.#core = core;
    this.#exchanges = exchanges;
    this.peer = peer;
    this.access = access;
    this.#alarm = core.alarm(() => this.#due());
  }

  start(): void {
    const attempt = ++this.#attempt;
    this.state = 'discovering';
    this.#core.resolve(this.access.host, this.access.port ?? 1719, (ips) => {
      if (attempt !== this.#attempt) return;
      const [ip] = ips;
      if (ip === undefined) return this.#fail('resolve');
      this.#core.resolvedPeers.set(ip, this.peer.name);
      this.#discover({ ip, port: this.access.port ?? 1719 });
    });
  }

  /** Unregisters, and does nothing any more. What it told of the gatekeeper counts no more, a failure neither. */
  stop(): void {
    const registered = this.state === 'registered';
    this.#attempt++;
    this.#alarm.set(undefined);
    this.state = 'stopped';
    this.#core.event({ kind: 'registration', peer: this.peer.name, state: 'unregistered' });
    if (!registered) return;
    this.request(
      (requestSeqNum) => ({
        choice: 'unregistrationRequest',
        value: {
          requestSeqNum,
          callSignalAddress: this.#signalAddresses(),
          ...this.#identifiers(),
        },
      }),
      () => undefined,
    );
  }

  /** The gatekeeper unregistered us, or knows us no more. */
  lost(reason: string): void {
    if (this.state === 'stopped') return;
    this.#attempt++;
    this.#core.event({ kind: 'registration', peer: this.peer.name, state: 'failed', reason });
    this.endpointIdentifier = undefined;
    this.state = 'idle';
    this.#alarm.set(this.#core.now + 1000);
  }

  /** A request to the gatekeeper in use; `answered` with undefined where there is none or it is silent. */
  request(
    message: (requestSeqNum: number) => RasMessage,
    answered: (answer: Answer | undefined) => void,
  ): void {
    const { gatekeeper, listener } = this;
    if (gatekeeper === undefined || listener === undefined) return answered(undefined);
    const credentials = this.credentials();
    this.#exchanges.start({
      listener: listener.name,
      remote: gatekeeper,
      message,
      answered,
      ...(credentials === undefined
        ? {}
        : { credentials, proven: (bytes, answer) => this.proven(bytes, answer) }),
    });
  }

  credentials(): Credentials | undefined {
    const { password } = this.access;
    if (password === undefined) return undefined;
    return {
      password: password.password,
      sendersID: password.user,
      generalID: this.gatekeeperIdentifier ?? this.access.identifier,
    };
  }

  /** Whether a message of the gatekeeper proves itself, where a password is shared. */
  proven(bytes: Uint8Array, message: RasMessage): boolean {
    const { password } = this.access;
    if (password === undefined) return true;
    // Gatekeepers sign nothing before they know us: what discovery tells is checked otherwise, and a refusal gives nothing away.
    if (this.state !== 'registered' && UNSIGNED.has(message.choice)) return true;
    const names = [
      password.user,
      ...(this.endpointIdentifier === undefined ? [] : [this.endpointIdentifier]),
    ];
    const expected = { password: password.password, window: this.#window, generalID: names };
    const verdict = verify(this.#core, bytes, message, expected);
    if (verdict !== 'good') this.#core.count(`ras-token-${verdict}`, this.gatekeeper);
    return verdict === 'good';
  }

  #discover(gatekeeper: Address): void {
    const listener = this.#core.listenerFor('udp', gatekeeper.ip, this.access.listener);
    if (listener === undefined || this.#signalling() === undefined) return this.#fail('no-listener');
    this.gatekeeper = gatekeeper;
    this.listener = listener;
    this.state = 'discovering';
    const attempt = ++this.#attempt;
    const { identifier, password } = this.access;
    this.request(
      (requestSeqNum) => ({
        choice: 'gatekeeperRequest',
        value: {
          requestSeqNum,
          protocolIdentifier: H225_PROTOCOL,
          rasAddress: toH225(listener.advertise),
          endpointType: ENDPOINT_TYPE,
          ...(identifier === undefined ? {} : { gatekeeperIdentifier: identifier }),
          endpointAlias: toAliases(this.access.aliases),
          ...(password === undefined
            ? {}
            : {
                authenticationCapability: [{ choice: 'pwdHash', value: null }],
                algorithmOIDs: ['0.0.8.235.0.2.6'],
              }),
          supportsAltGK: null,
        },
      }),
      (answer) => {
        if (attempt !== this.#attempt) return;
        if (answer?.choice === 'gatekeeperConfirm') {
          const { gatekeeperIdentifier, rasAddress, alternateGatekeeper } = answer.value;
          if (gatekeeperIdentifier !== undefined) {
            this.gatekeeperIdentifier = cleanName(gatekeeperIdentifier);
          }
          if (password === undefined) this.#takeAlternates(alternateGatekeeper);
          // Another port of the same machine is believed, another machine is not.
          const told = fromH225(rasAddress);
          if (told?.ip === gatekeeper.ip) this.gatekeeper = told;
          return this.#register(false);
        }
        if (answer?.choice === 'gatekeeperReject' && password === undefined)
          this.#takeAlternates(answer.value.altGKInfo?.alternateGatekeeper);
        this.#fail(answer === undefined ? 'timeout' : (rejectReason(answer) ?? answer.choice));
      },
    );
  }

  #register(keepAlive: boolean): void {
    const attempt = ++this.#attempt;
    if (!keepAlive) this.state = 'registering';
    this.request(
      (requestSeqNum) => this.#registrationRequest(requestSeqNum, keepAlive),
      (answer) => {
        if (attempt === this.#attempt) this.#registrationAnswered(answer);
      },
    );
  }

  #registrationRequest(requestSeqNum: number, keepAlive: boolean): RasMessage {
    const { gatekeeperIdentifier, endpointIdentifier } = this;
    const identifier = gatekeeperIdentifier ?? this.access.identifier;
    return {
      choice: 'registrationRequest',
      value: {
        requestSeqNum,
        protocolIdentifier: H225_PROTOCOL,
        discoveryComplete: true,
        callSignalAddress: this.#signalAddresses(),
        rasAddress: [toH225(this.listener!.advertise)],
        terminalType: ENDPOINT_TYPE,
        // H.225.0 7.9.1: a lightweight RRQ bears no aliases.
        ...(keepAlive ? {} : { terminalAlias: toAliases(this.access.aliases) }),
        ...(identifier === undefined ? {} : { gatekeeperIdentifier: identifier }),
        endpointVendor: VENDOR,
        timeToLive: this.access.timeToLiveSeconds ?? DEFAULT_TTL_SECONDS,
        keepAlive,
        ...(endpointIdentifier === undefined ? {} : { endpointIdentifier }),
        willSupplyUUIEs: false,
        maintainConnection: false,
        supportsAltGK: null,
      },
    };
  }

  #registrationAnswered(answer: Answer | undefined): void {
    if (answer?.choice === 'registrationConfirm') {
      const { endpointIdentifier, timeToLive, alternateGatekeeper } = answer.value;
      const fresh = this.state !== 'registered';
      this.state = 'registered';
      this.endpointIdentifier = endpointIdentifier;
      this.#retry = FIRST_RETRY;
      this.#takeAlternates(alternateGatekeeper);
      const asked = this.access.timeToLiveSeconds ?? DEFAULT_TTL_SECONDS;
      const seconds = Math.max(LEAST_TTL_SECONDS, Math.min(timeToLive ?? asked, 86_400));
      this.#alarm.set(this.#core.now + Math.floor(seconds * 600)); // at 60 % of it: room for three repetitions
      if (fresh) this.#core.event({ kind: 'registration', peer: this.peer.name, state: 'registered' });
      return;
    }
    if (answer?.choice === 'registrationReject') {
      const reason = answer.value.rejectReason.choice;
      if (this.access.password === undefined || this.state === 'registered') {
        this.#takeAlternates(answer.value.altGKInfo?.alternateGatekeeper);
      }
      if (reason === 'fullRegistrationRequired' && this.state === 'registered') {
        this.endpointIdentifier = undefined;
        return this.#register(false);
      }
      return this.#fail(reason);
    }
    this.#fail(answer === undefined ? 'timeout' : answer.choice);
  }

  /** Named by a gatekeeper that (where a password is shared) has proven itself, and permitted. */
  #takeAlternates(list: readonly AlternateGK[] | undefined): void {
    if (list === undefined) return;
    const sorted = [...list].sort((a, b) => a.priority - b.priority).slice(0, MOST_ALTERNATES);
    const addresses = sorted.map((gk) => fromH225(gk.rasAddress)).filter((a) => a !== undefined);
    this.#alternates = addresses.filter((address) => {
      const permitted = this.#core.options.decisions.acceptSignallingAddress(this.peer.name, address);
      if (!permitted) this.#core.count('alternate-gatekeeper', address);
      return permitted;
    });
  }

  #fail(reason: string): void {
    this.#attempt++;
    this.state = 'idle';
    this.endpointIdentifier = undefined;
    this.#core.event({ kind: 'registration', peer: this.peer.name, state: 'failed', reason });
    const { gatekeeper } = this;
    const next = this.#alternates.shift();
    if (next !== undefined && (gatekeeper === undefined || !sameAddress(next, gatekeeper))) {
      this.gatekeeperIdentifier = undefined;
      return this.#discover(next);
    }
    this.#alarm.set(this.#core.now + this.#retry);
    this.#retry = Math.min(LAST_RETRY, 2 * this.#retry);
  }

  #due(): void {
    if (this.state === 'registered') return this.#register(true);
    if (this.state === 'idle') this.start();
  }

  #signalling(): H323Listener | undefined {
    const ip = this.gatekeeper?.ip ?? this.listener?.local.ip ?? '0.0.0.0';
    return this.#core.listenerFor('tcp', ip, this.peer.listener);
  }

  /** Where calls come in. */
  signalAddress(): Address | undefined {
    return this.#signalling()?.advertise;
  }

  #signalAddresses() {
    const address = this.signalAddress();
    return address === undefined ? [] : [toH225(address)];
  }

  #identifiers() {
    const { endpointIdentifier, gatekeeperIdentifier } = this;
    return {
      ...(endpointIdentifier === undefined ? {} : { endpointIdentifier }),
      ...(gatekeeperIdentifier === undefined ? {} : { gatekeeperIdentifier }),
    };
  }
}
