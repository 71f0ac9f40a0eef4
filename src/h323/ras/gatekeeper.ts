/**
 * Our small gatekeeper (H.323 7.2, 8.1.2): terminals that have none register here, with their password where they have one, and
 * call through us (gatekeeper-routed, always). Answers go where the question came from, whatever addresses are in it.
 */
import type { Address } from '../../machine/address.ts';
import { sameAddress } from '../../machine/address.ts';
import { fromH225, toH225 } from '../addresses.ts';
import type { RasMessage, RegistrationRequest, TransportAddress } from '../asn1/h225-types.ts';
import type { Core } from '../core.ts';
import { H225_PROTOCOL } from '../identity.ts';
import { aliasText, fromAliases, namesOf, toAliases } from '../party.ts';
import type { H323Alias, H323GatekeeperService, H323Listener } from '../peer-contract.ts';
import { KeptAnswers, SourceLimit } from './answered.ts';
import type { Answer } from './exchange.ts';
import { sendRas } from './exchange.ts';
import type { Credentials, Verdict } from './security.ts';
import { claimedSender, ReplayWindow, verify } from './security.ts';
import type { Terminal, Terminals } from './terminals.ts';

const LEAST_SECONDS = 20;
/** Largest bandwidth granted, in 100 bit/s. */
const MOST_BANDWIDTH = 20_000;

interface Asked {
  readonly service: H323GatekeeperService;
  readonly signalling: H323Listener;
  readonly ras: H323Listener;
  readonly remote: Address;
  readonly bytes: Uint8Array;
}

export class Gatekeeper {
  service: H323GatekeeperService | undefined;
  readonly #core: Core;
  readonly #terminals: Terminals;
  readonly #sources: SourceLimit;
  /** Windows of accounts that are not registered (yet). */
  readonly #windows = new Map<string, ReplayWindow>();
  readonly #kept: KeptAnswers;

  constructor(core: Core, terminals: Terminals) {
    this.#core = core;
    this.#terminals = terminals;
    this.#sources = new SourceLimit(core);
    this.#kept = new KeptAnswers(core);
  }

  configure(service: H323GatekeeperService | undefined): void {
    if (service === undefined || service.identifier !== this.service?.identifier) this.#terminals.clear();
    this.service = service;
  }

  /** A request from anywhere. Unknown sources and floods get silence. */
  requested(listener: string, remote: Address, bytes: Uint8Array, message: Answer): void {
    const { service } = this;
    const core = this.#core;
    const ras = core.listeners.find((l) => l.name === listener);
    const signalling = core.listeners.find((l) => l.name === service?.signalling);
    if (service?.listener !== listener || ras === undefined || signalling === undefined) {
      return core.count('ras-no-service', remote);
    }
    if (
      core.identify(remote, listener, 'udp') === undefined &&
      this.#terminals.bySource(remote.ip) === undefined
    ) {
      return core.count('unknown-source', remote);
    }
    if (!this.#sources.allows(remote.ip)) return core.count('ras-flood', remote);
    const { requestSeqNum } = message.value as { readonly requestSeqNum?: number };
    const key = `${remote.ip} ${remote.port} ${requestSeqNum}`;
    const before = this.#kept.find(key, bytes);
    if (before !== undefined) return sendRas(core, listener, remote, before.answer, before.credentials);
    const asked: Asked = { service, signalling, ras, remote, bytes };
    const result = this.#answer(asked, message);
    if (result === undefined) return;
    const { answer, terminal } = result;
    const credentials = this.#credentials(service, terminal);
    this.#kept.add(key, { request: bytes, answer, credentials });
    sendRas(core, listener, remote, answer, credentials);
  }

  #credentials(
    service: H323GatekeeperService,
    terminal: { readonly account: string; readonly password: string | undefined } | undefined,
  ): Credentials | undefined {
    if (terminal?.password === undefined) return undefined;
    return { password: terminal.password, sendersID: service.identifier, generalID: terminal.account };
  }

  #answer(asked: Asked, message: Answer): Answered | undefined {
    switch (message.choice) {
      case 'gatekeeperRequest':
        return this.#discovery(asked, message.value.requestSeqNum, fromAliases(message.value.endpointAlias));
      case 'registrationRequest':
        return this.#registration(asked, message);
      case 'unregistrationRequest':
        return this.#unregistration(asked, message);
      case 'admissionRequest':
        return this.#admission(asked, message);
      case 'bandwidthRequest': {
        const { requestSeqNum, bandWidth, endpointIdentifier } = message.value;
        const terminal = this.#known(asked, message, endpointIdentifier);
        if (terminal === undefined || bandWidth > 2 * MOST_BANDWIDTH) {
          const choice = terminal === undefined ? 'notBound' : 'insufficientResources';
          const value = {
            requestSeqNum,
            rejectReason: { choice, value: null } as const,
            allowedBandWidth: terminal === undefined ? 0 : MOST_BANDWIDTH,
          };
          return { answer: { choice: 'bandwidthReject', value }, terminal };
        }
        return { answer: { choice: 'bandwidthConfirm', value: { requestSeqNum, bandWidth } }, terminal };
      }
      case 'disengageRequest': {
        const { requestSeqNum, endpointIdentifier } = message.value;
        const terminal = this.#known(asked, message, endpointIdentifier);
        if (terminal !== undefined)
          return { answer: { choice: 'disengageConfirm', value: { requestSeqNum } }, terminal };
        const rejectReason = { choice: 'notRegistered', value: null } as const;
        return { answer: { choice: 'disengageReject', value: { requestSeqNum, rejectReason } } };
      }
      case 'locationRequest':
        return this.#location(asked, message);
      case 'infoRequestResponse': {
        const { requestSeqNum, needResponse, endpointIdentifier } = message.value;
        const terminal = this.#known(asked, message, endpointIdentifier);
        if (terminal === undefined || needResponse !== true) return undefined;
        return { answer: { choice: 'infoRequestAck', value: { requestSeqNum } }, terminal };
      }
      case 'resourcesAvailableIndicate': {
        const { requestSeqNum } = message.value;
        const value = { requestSeqNum, protocolIdentifier: H225_PROTOCOL };
        return { answer: { choice: 'resourcesAvailableConfirm', value } };
      }
      case 'unknownMessageResponse':
        return undefined;
      default:
        // Answers nobody waits for, and what we do not do. No answer: it could be made to bounce.
        this.#core.count('ras-stray', asked.remote);
        return undefined;
    }
  }

  #discovery(asked: Asked, requestSeqNum: number, aliases: readonly H323Alias[]): Answered {
    const { service, ras } = asked;
    const gatekeeperIdentifier = service.identifier;
    if (aliases.length > 0 && !aliases.some((a) => this.#permission(a) !== undefined)) {
      this.#core.count('ras-excluded', asked.remote);
      const rejectReason = { choice: 'terminalExcluded', value: null } as const;
      const value = {
        requestSeqNum,
        protocolIdentifier: H225_PROTOCOL,
        gatekeeperIdentifier,
        rejectReason,
      };
      return { answer: { choice: 'gatekeeperReject', value } };
    }
    const value = {
      requestSeqNum,
      protocolIdentifier: H225_PROTOCOL,
      gatekeeperIdentifier,
      rasAddress: toH225(ras.advertise),
    };
    return { answer: { choice: 'gatekeeperConfirm', value } };
  }

  #permission(alias: H323Alias): { readonly password: string } | 'open' | undefined {
    return this.#core.options.decisions.terminal(aliasText(alias));
  }

  #registration(asked: Asked, message: Extract<Answer, { choice: 'registrationRequest' }>): Answered {
    const request = message.value;
    const { remote } = asked;
    const refuse = (choice: RejectName, reason: string): Answered => {
      this.#core.count(reason, remote);
      const value = {
        requestSeqNum: request.requestSeqNum,
        protocolIdentifier: H225_PROTOCOL,
        gatekeeperIdentifier: asked.service.identifier,
        rejectReason: { choice, value: null } as const,
      };
      return { answer: { choice: 'registrationReject', value } };
    };
    if (request.keepAlive === true) {
      const known = this.#known(asked, message, request.endpointIdentifier);
      if (known === undefined) return refuse('fullRegistrationRequired', 'ras-unknown-terminal');
      return this.#registered(asked, known, request);
    }
    const signalling = addressAt(request.callSignalAddress, remote.ip);
    if (signalling === undefined) return refuse('invalidCallSignalAddress', 'ras-signal-address');
    const aliases = fromAliases(request.terminalAlias);
    const [first] = aliases;
    if (first === undefined) return refuse('invalidAlias', 'ras-no-alias');
    const permissions = aliases.map((alias) => this.#permission(alias));
    const permission = permissions[0];
    if (permission === undefined || permissions.includes(undefined)) {
      // The same answer for a wrong password and an alias that does not exist.
      return refuse('securityDenial', 'ras-alias-denied');
    }
    const password = permission === 'open' ? undefined : permission.password;
    const sameSecret = permissions.every(
      (p) => (typeof p === 'object' ? p.password : undefined) === password,
    );
    if (!sameSecret) return refuse('securityDenial', 'ras-alias-denied');
    if (password !== undefined) {
      const verdict = this.#verify(asked, message, aliasText(first), password);
      if (verdict !== 'good') return refuse('securityDenial', `ras-token-${verdict}`);
    }
    const holders = new Set(aliases.map((a) => this.#terminals.byAlias(a)).filter((t) => t !== undefined));
    const own = this.#terminals.get(request.endpointIdentifier);
    for (const holder of holders) {
      // A restarted terminal takes its place again; without a password only from where it was.
      const restarted =
        holder === own || sameAddress(holder.signalling, signalling) || password !== undefined;
      if (!restarted) return refuse('invalidAlias', 'ras-duplicate-alias');
    }
    const moved = [...holders].find((h) => h.account === aliasText(first) && h.signalling.ip === remote.ip);
    for (const holder of holders) if (holder !== moved) this.#terminals.remove(holder);
    if (moved === undefined && !this.#terminals.room(remote.ip))
      return refuse('resourceUnavailable', 'terminals');
    const seconds = this.#seconds(asked.service, request.timeToLive);
    const terminal = moved ?? this.#terminals.add({ aliases, password, ras: remote, signalling, seconds });
    this.#terminals.setAliases(terminal, aliases);
    terminal.signalling = signalling;
    return this.#registered(asked, terminal, request, true);
  }

  #seconds(service: H323GatekeeperService, wished: number | undefined): number {
    const most = Math.max(LEAST_SECONDS, service.timeToLiveSeconds);
    return Math.max(LEAST_SECONDS, Math.min(most, wished ?? most));
  }

  #registered(asked: Asked, terminal: Terminal, request: RegistrationRequest, fresh = false): Answered {
    terminal.ras = asked.remote;
    terminal.seconds = this.#seconds(asked.service, request.timeToLive);
    this.#terminals.touch(terminal);
    const { account, aliases, signalling, seconds } = terminal;
    if (fresh) {
      this.#core.event({
        kind: 'terminal-registered',
        account,
        aliases,
        address: signalling,
        expiresSeconds: seconds,
      });
    }
    return {
      answer: {
        choice: 'registrationConfirm',
        value: {
          requestSeqNum: request.requestSeqNum,
          protocolIdentifier: H225_PROTOCOL,
          callSignalAddress: [toH225(asked.signalling.advertise)],
          terminalAlias: toAliases(aliases),
          gatekeeperIdentifier: asked.service.identifier,
          endpointIdentifier: terminal.identifier,
          timeToLive: seconds,
          willRespondToIRR: true,
          maintainConnection: false,
        },
      },
      terminal,
    };
  }

  /** The terminal of an endpoint identifier: from its own address, and proven where it has a password. */
  #known(asked: Asked, message: RasMessage, identifier: string | undefined): Terminal | undefined {
    const terminal = this.#terminals.get(identifier);
    if (terminal === undefined || terminal.ras.ip !== asked.remote.ip) {
      this.#core.count('ras-not-registered', asked.remote);
      return undefined;
    }
    const { password, account } = terminal;
    if (password === undefined) return terminal;
    const verdict = this.#verify(asked, message, account, password, terminal);
    if (verdict === 'good') return terminal;
    this.#core.count(`ras-token-${verdict}`, asked.remote);
    return undefined;
  }

  #verify(
    asked: Asked,
    message: RasMessage,
    account: string,
    password: string,
    terminal?: Terminal,
  ): Verdict {
    // H.235.1: the sender is the alias, or after registration the endpoint identifier.
    const sender = claimedSender(message);
    if (sender !== undefined && sender !== account && sender !== terminal?.identifier) return 'wrong';
    const window = this.#window(account);
    const generalID = [asked.service.identifier];
    return verify(this.#core, asked.bytes, message, { password, window, generalID });
  }

  /** One per account, whether registered or not: a token that registered once must not do so again. */
  #window(account: string): ReplayWindow {
    const window = this.#windows.get(account) ?? new ReplayWindow();
    this.#windows.delete(account);
    this.#windows.set(account, window);
    if (this.#windows.size > 2 * this.#core.options.limits.terminals + 16) {
      this.#windows.delete(this.#windows.keys().next().value!);
    }
    return window;
  }

  #unregistration(asked: Asked, message: Extract<Answer, { choice: 'unregistrationRequest' }>): Answered {
    const { requestSeqNum, endpointIdentifier } = message.value;
    const terminal = this.#known(asked, message, endpointIdentifier);
    if (terminal === undefined) {
      const rejectReason = { choice: 'notCurrentlyRegistered', value: null } as const;
      return { answer: { choice: 'unregistrationReject', value: { requestSeqNum, rejectReason } } };
    }
    this.#terminals.remove(terminal);
    return { answer: { choice: 'unregistrationConfirm', value: { requestSeqNum } }, terminal };
  }

  /** Our policy judges the Setup that follows: here only who asks counts. */
  #admission(asked: Asked, message: Extract<Answer, { choice: 'admissionRequest' }>): Answered {
    const { requestSeqNum, endpointIdentifier, bandWidth } = message.value;
    const terminal = this.#known(asked, message, endpointIdentifier);
    if (terminal === undefined || this.#core.draining) {
      const choice = terminal === undefined ? 'callerNotRegistered' : 'resourceUnavailable';
      const rejectReason = { choice, value: null } as const;
      return { answer: { choice: 'admissionReject', value: { requestSeqNum, rejectReason } }, terminal };
    }
    return {
      answer: {
        choice: 'admissionConfirm',
        value: {
          requestSeqNum,
          bandWidth: Math.min(bandWidth, MOST_BANDWIDTH),
          callModel: { choice: 'gatekeeperRouted', value: null },
          destCallSignalAddress: toH225(asked.signalling.advertise),
          willRespondToIRR: true,
        },
      },
      terminal,
    };
  }

  #location(asked: Asked, message: Extract<Answer, { choice: 'locationRequest' }>): Answered {
    const { requestSeqNum, destinationInfo } = message.value;
    const peer = this.#core.identify(asked.remote, asked.ras.name, 'udp');
    const number = namesOf(destinationInfo).number;
    const here =
      peer !== undefined && number !== undefined && this.#core.options.decisions.locate(number, peer.name);
    if (!here) {
      const rejectReason = { choice: 'requestDenied', value: null } as const;
      return { answer: { choice: 'locationReject', value: { requestSeqNum, rejectReason } } };
    }
    const value = {
      requestSeqNum,
      callSignalAddress: toH225(asked.signalling.advertise),
      rasAddress: toH225(asked.ras.advertise),
    };
    return { answer: { choice: 'locationConfirm', value } };
  }
}

interface Answered {
  readonly answer: RasMessage;
  readonly terminal?: { readonly account: string; readonly password: string | undefined } | undefined;
}

type RejectName =
  | 'fullRegistrationRequired'
  | 'invalidCallSignalAddress'
  | 'invalidAlias'
  | 'securityDenial'
  | 'resourceUnavailable';

/** The signalling address at the very machine that asks: another would be a way to aim our Setups at third parties. */
function addressAt(list: readonly TransportAddress[], ip: string): Address | undefined {
  return list
    .slice(0, 8)
    .map((address) => fromH225(address))
    .find((address) => address?.ip === ip);
}
