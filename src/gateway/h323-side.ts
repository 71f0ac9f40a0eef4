/** What the H.323 endpoint tells and is told: its peers and listeners, new calls, events of calls, terminals, registrations. */
import type { LegSetup } from '../call/leg.ts';
import type { H323Decisions, H323Event, H323Output } from '../h323/contract.ts';
import type { H323Alias, H323GatekeeperService, H323Listener, H323Peer } from '../h323/peer-contract.ts';
import { type IncomingH323, setupFromH323 } from '../interworking/h323-to-meta.ts';
import { beginFromLeg } from './call-setup.ts';
import type { GatekeeperAccessConfig, GatewayConfig, PeerConfig } from './config.ts';
import { newH323Leg } from './legs.ts';
import { recordRefused } from './refused-records.ts';
import type { GatewayState } from './state.ts';
import { traceEntry } from './trace.ts';

export function h323Output(gw: GatewayState, output: H323Output): void {
  switch (output.kind) {
    case 'event':
      h323Event(gw, output.event);
      break;
    case 'count':
      gw.count('h323Refused', output.reason);
      if (output.name !== undefined) gw.counters.addForeign(output.name);
      if (output.remote !== undefined) gw.offence(output.reason, output.remote.ip);
      break;
    case 'trace': {
      gw.emit({ kind: 'h323-message', direction: output.direction, line: output.line });
      if (output.call === undefined) break;
      const entry = {
        ...traceEntry(gw.providers.wall(), 'leg', output.direction, output.line),
        remote: `${output.remote.ip} ${output.transport}`,
      };
      gw.trace.addOf(gw.h323Leg(output.call), entry);
      break;
    }
    default:
      gw.emit({ kind: 'h323', output });
  }
}

function h323Event(gw: GatewayState, event: H323Event): void {
  switch (event.kind) {
    case 'incoming':
      incoming(gw, event);
      return;
    case 'registration':
      if (event.state === 'registered') {
        gw.peersDown.delete(event.peer);
        gw.peersUp.add(event.peer);
      } else if (event.state === 'failed') {
        gw.peersUp.delete(event.peer);
        gw.peersDown.add(event.peer);
      } else {
        gw.peersUp.delete(event.peer);
        gw.peersDown.delete(event.peer);
      }
      gw.log(event.state === 'failed' ? 'warn' : 'info', `gatekeeper: ${event.state}`, {
        peer: event.peer,
        ...(event.reason === undefined ? {} : { reason: event.reason }),
      });
      return;
    case 'terminal-registered':
      gw.terminals.registered(event.account, event.aliases, event.address);
      gw.count('registrations', 'terminal-registered');
      return;
    case 'terminal-unregistered':
      gw.terminals.unregistered(event.account);
      gw.count('registrations', 'terminal-unregistered');
      return;
    default: {
      const leg = gw.h323Leg(event.call);
      const call = gw.calls.byLeg(leg);
      if (event.kind === 'released') gw.trace.forgetPending(leg);
      if (call?.adapter.protocol !== 'h323') return; // refused before it became a call
      call.adapter.h323(event, gw.now);
      gw.dirty.add(call);
    }
  }
}

/** A new Setup: admitted, routed, and begun as a call; or released with the right cause, counted with its reason. */
function incoming(gw: GatewayState, event: IncomingH323): void {
  const call = gw.newCallId();
  const refuse = (cause: number, reason: string, setup?: LegSetup): void => {
    gw.count('callsRefused', reason);
    gw.count('calls', 'refused');
    recordRefused(gw, { ...setup, call, side: 'originator', site: '', peer: event.peer, cause, reason });
    gw.offence(reason, event.remote.ip);
    gw.log('info', 'call refused', { peer: event.peer, reason, cause });
    gw.h323.handle({ kind: 'command', command: { kind: 'release', call: event.call, cause } }, gw.now);
  };
  const peer = gw.peer(event.peer);
  if (peer === undefined || peer.protocol !== 'h323') {
    refuse(21, 'unknown-peer');
    return;
  }
  if (gw.draining) {
    refuse(42, 'draining');
    return;
  }
  const leg = newH323Leg(gw, { call, ref: event.call, role: 'caller', peer, source: event.remote.ip });
  const setup = setupFromH323(leg, event);
  if (setup.kind === 'refused') {
    gw.media.release(call, gw.now);
    refuse(setup.cause, setup.reason);
    return;
  }
  const verdict = beginFromLeg(gw, {
    call,
    leg,
    setup,
    source: event.remote.ip,
    ...(event.account === undefined ? {} : { account: event.account }),
  });
  if (verdict.ok) return;
  gw.media.release(call, gw.now);
  refuse(verdict.error.cause, verdict.error.reason, setup);
}

/** The endpoint asks, the gateway's policy answers. `gw`: it exists by the time of the first question. */
export function h323Decisions(gw: () => GatewayState): H323Decisions {
  return {
    identify: ({ remote, listener, transport }) =>
      gw().policy.identify({ remote, listener, transport, certificateNames: [] }, gw().now, 'h323'),
    acceptH245Address: (peer, address) => gw().policy.signallingAddress(address.ip, peer),
    acceptSignallingAddress: (peer, address) => gw().policy.signallingAddress(address.ip, peer),
    terminal: (alias) => {
      const { accounts, h323 } = gw().config;
      const account = accounts.find((a) => a.username === alias || a.number === alias);
      if (account?.password === undefined) return undefined;
      return h323?.gatekeeper?.open === true ? 'open' : { password: account.password };
    },
    locate: (number, peer) => {
      const party = { number, numberType: 'unknown', privacy: 'allowed', verified: false } as const;
      const decision = gw().policy.route(`peer:${peer}`, party, party);
      return decision.kind !== 'refuse' || gw().terminals.lookup(number) !== undefined;
    },
  };
}

export function configureH323(gw: GatewayState): void {
  const { config } = gw;
  const gatekeeper = serviceOf(config);
  gw.h323.handle(
    {
      kind: 'command',
      command: {
        kind: 'configure',
        peers: config.peers.filter((p) => p.protocol === 'h323').map(h323Peer),
        listeners: listenersOf(config),
        ...(gatekeeper === undefined ? {} : { gatekeeper }),
      },
    },
    gw.now,
  );
}

function listenersOf(config: GatewayConfig): H323Listener[] {
  return (config.h323?.listeners ?? []).map(({ name, transport, address, advertise }) => ({
    name,
    transport,
    local: address,
    advertise: advertise ?? address,
  }));
}

function serviceOf(config: GatewayConfig): H323GatekeeperService | undefined {
  const service = config.h323?.gatekeeper;
  if (service === undefined) return undefined;
  const { identifier, listener, signalling, peer, timeToLiveSeconds } = service;
  return { identifier, listener, signalling, peer, timeToLiveSeconds };
}

function h323Peer(peer: PeerConfig): H323Peer {
  const h323 = peer.h323;
  return {
    name: peer.name,
    host: peer.host,
    ...(peer.port === undefined ? {} : { port: peer.port }),
    ...(peer.listener === undefined ? {} : { listener: peer.listener }),
    fastStart: h323?.fastStart ?? true,
    tunnelling: h323?.tunnelling ?? true,
    earlyH245: h323?.earlyH245 ?? false,
    keepConnection: h323?.keepConnection ?? false,
    aliases: (h323?.aliases ?? []).map(aliasOf),
    ...(h323?.gatekeeper === undefined ? {} : { gatekeeper: gatekeeperOf(h323.gatekeeper) }),
  };
}

function gatekeeperOf(access: GatekeeperAccessConfig): NonNullable<H323Peer['gatekeeper']> {
  const { host, port, listener, identifier, aliases, timeToLiveSeconds, username, password } = access;
  return {
    host,
    ...(port === undefined ? {} : { port }),
    ...(listener === undefined ? {} : { listener }),
    ...(identifier === undefined ? {} : { identifier }),
    aliases: aliases.map(aliasOf),
    timeToLiveSeconds,
    ...(username === undefined || password === undefined ? {} : { password: { user: username, password } }),
  };
}

/** Digits are a dialledDigits alias, all else an h323-ID. */
export function aliasOf(text: string): H323Alias {
  return /^[0-9*#]{1,64}$/.test(text) ? { kind: 'number', number: text } : { kind: 'name', name: text };
}
