/**
 * Remote users: their registrations and their digest proofs. Account secrets live on the relay gateway: the termination
 * gateway asks it over Meta, the relay gateway asks its own table.
 */
import { fail, ok, type Result } from '../machine/machine.ts';
import type { SipDigestProof, SipEvent } from '../sip/contract.ts';
import { verifyProof } from '../sip/digest.ts';
import { firstHeader, headerValues } from '../sip/header/access.ts';
import { parseNameAddressList } from '../sip/header/name-address.ts';
import type { NameAddress, SipUri } from '../sip/message.ts';
import { formatUri } from '../sip/uri.ts';
import { bindingKey, MAX_EXPIRES_SECONDS, MIN_EXPIRES_SECONDS } from './registrar.ts';
import type { PendingExchange, SiteLink } from './site-link.ts';
import type { GatewayState } from './state.ts';

type Request = Extract<SipEvent, { kind: 'request' }>;
/** Who claims to be which account. */
type Claim = Omit<PendingExchange, 'purpose'>;
type Authenticate = Extract<SipEvent, { kind: 'authenticate' }>;

/**
 * The relay gateway that knows an account: the site the configuration names for it, else the first one, while its link is up. Never
 * another one: it could take anybody for anyone.
 */
function home(gw: GatewayState, username: string): SiteLink | undefined {
  const named = gw.config.accounts.find((a) => a.username === username)?.site;
  const link = gw.links.get(named ?? gw.config.tunnel.sites[0]?.name ?? '');
  return link?.usable === true ? link : undefined;
}

/** The number a site says an account has, where it may say so: its own accounts' numbers, and no number of another site's. */
export function vouched(
  gw: GatewayState,
  site: string,
  username: string,
  number: string,
): string | undefined {
  const { accounts } = gw.config;
  const listed = accounts.find((a) => a.username === username);
  const allowed =
    listed?.site === undefined
      ? !accounts.some((a) => a.number === number && a.site !== undefined && a.site !== site)
      : listed.site === site && listed.number === number;
  if (allowed) return number;
  gw.count('registrations', 'number-of-another-site');
  gw.log('warn', 'a site vouches for a number that is not its own', { site });
  return undefined;
}

export function authenticate(gw: GatewayState, event: Authenticate): void {
  const claim: Claim = {
    sipExchange: event.exchange,
    username: event.proof.username,
    source: event.remote.ip,
  };
  // Refused like a wrong password: who guesses must not learn that the guess was not looked at.
  if (!gw.policy.mayAuthenticate(claim.username, claim.source, gw.now)) {
    gw.count('registrations', 'account-back-off');
    settle(gw, claim, undefined);
    return;
  }
  if (gw.config.role === 'relay' || gw.config.accounts.some((a) => a.password !== undefined)) {
    answer(gw, claim, checkProof(gw, event.proof));
    return;
  }
  const link = home(gw, claim.username);
  const exchange = link?.open({ purpose: 'authenticate', ...claim }, gw.now);
  if (link === undefined || exchange === undefined) {
    gw.count('registrations', 'no-home');
    return; // the endpoint answers 503 at its deadline: refusing would send the user's phone into a password prompt
  }
  if (link.send({ kind: 'authenticate', exchange, proof: event.proof }, gw.now)) return;
  link.settle(exchange); // strings that Meta does not carry are no account's
  answer(gw, claim, undefined);
}

/** Number of the account that the proof shows, checked against the local accounts (RFC 7616 3.4.1). */
export function checkProof(gw: GatewayState, proof: SipDigestProof): string | undefined {
  const account = gw.config.accounts.find((a) => a.username === proof.username);
  // The same work for existing and missing accounts: no oracle by time.
  const password = account?.password ?? 'no such account';
  const good = verifyProof(gw.providers.crypto, proof, { username: proof.username, password });
  return good && account !== undefined ? account.number : undefined;
}

/** Number of the account that a proof from the far gateway shows: examined as often as RELAY_BACK_OFF lets it. */
export function checkFarProof(gw: GatewayState, proof: SipDigestProof): string | undefined {
  if (!gw.policy.mayAuthenticate(proof.username, '', gw.now)) {
    gw.count('registrations', 'account-back-off');
    return undefined;
  }
  const account = checkProof(gw, proof);
  gw.policy.authenticated(proof.username, '', account !== undefined, gw.now);
  return account;
}

/** The outcome of a proof that was examined. */
export function answer(gw: GatewayState, claim: Claim, account: string | undefined): void {
  gw.policy.authenticated(claim.username, claim.source, account !== undefined, gw.now);
  settle(gw, claim, account);
}

function settle(gw: GatewayState, { sipExchange }: Claim, account: string | undefined): void {
  gw.count('registrations', account === undefined ? 'refused' : 'authenticated');
  gw.sip.handle(
    {
      kind: 'command',
      command:
        account === undefined
          ? { kind: 'authenticated', exchange: sipExchange, outcome: 'refused' }
          : { kind: 'authenticated', exchange: sipExchange, outcome: 'accepted', account },
    },
    gw.now,
  );
}

/** REGISTER (RFC 3261 10.3) of an authenticated account. */
export function register(gw: GatewayState, event: Request): void {
  const respond = (status: number, headers: readonly { name: string; value: string }[] = []): void =>
    gw.sip.handle(
      { kind: 'command', command: { kind: 'respond', transaction: event.transaction, status, headers } },
      gw.now,
    );
  if (event.request.method !== 'REGISTER') {
    respond(405, [
      { name: 'Allow', value: 'INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY, REGISTER' },
    ]);
    return;
  }
  const account = event.account;
  if (account === undefined) {
    gw.count('registrations', 'not-permitted');
    respond(403); // this peer is not asked for credentials: it has nothing to register here
    return;
  }
  const contacts = readContacts(event);
  if (!contacts.ok) {
    respond(contacts.error);
    return;
  }
  for (const contact of contacts.value) {
    const status = bind(gw, account, contact, event);
    if (status !== 200) {
      respond(status, status === 423 ? [{ name: 'Min-Expires', value: String(MIN_EXPIRES_SECONDS) }] : []);
      return;
    }
  }
  gw.count('registrations', 'accepted');
  const bindings = gw.registrar.lookup(account, gw.now);
  respond(
    200,
    bindings.map((b) => ({
      name: 'Contact',
      value: `${contactText(b.uri)};expires=${Math.max(0, Math.round((b.expiresAt - gw.now) / 1000))}`,
    })),
  );
}

/** URI parameters by which two contacts differ (RFC 3261 19.1.4), as far as a contact may have them. */
const COMPARED = ['transport', 'user', 'maddr'];

/** A binding as the phone will find it again among those of its account (RFC 3261 10.2.4): equal by 19.1.4, built from its parts. */
export function contactText(uri: SipUri): string {
  const parameters = new Map([...uri.parameters].filter(([name]) => COMPARED.includes(name)));
  return `<${formatUri({ ...uri, parameters, headers: '' })}>`;
}

type ContactEntry =
  | { readonly all: true }
  | { readonly all: false; readonly address: NameAddress; readonly expires: number };

/** RFC 3261 10.3 steps 5 and 6: `*` only alone and with Expires 0. */
function readContacts(event: Request): Result<readonly ContactEntry[], number> {
  const values = headerValues(event.request, 'Contact');
  const header = firstHeader(event.request, 'Expires');
  const general = header === undefined ? MAX_EXPIRES_SECONDS : Number.parseInt(header, 10);
  if (!Number.isFinite(general) || general < 0) return fail(400);
  if (values.length === 1 && values[0]!.trim() === '*')
    return general === 0 ? ok([{ all: true }]) : fail(400);
  const entries: ContactEntry[] = [];
  for (const value of values) {
    const list = parseNameAddressList(value);
    if (list === undefined || entries.length + list.length > 8) return fail(400);
    for (const address of list) {
      const own = address.parameters.get('expires');
      const expires = own === undefined ? general : Number.parseInt(own, 10);
      if (!Number.isFinite(expires) || expires < 0 || address.uri.scheme === 'tel') return fail(400);
      entries.push({ all: false, address, expires: Math.min(expires, MAX_EXPIRES_SECONDS) });
    }
  }
  return ok(entries);
}

function bind(gw: GatewayState, account: string, contact: ContactEntry, event: Request): number {
  if (contact.all) {
    gw.registrar.unbind(account, '*');
    return 200;
  }
  const key = bindingKey(contact.address.uri);
  if (contact.expires === 0) {
    gw.registrar.unbind(account, key);
    return 200;
  }
  if (contact.expires < MIN_EXPIRES_SECONDS) return 423;
  const outcome = gw.registrar.bind(
    account,
    {
      uri: contact.address.uri,
      flow: event.flow,
      source: event.remote.ip,
      peer: event.peer,
      callId: event.request.callId,
      cseq: event.request.cseq.number,
      expiresAt: gw.now + contact.expires * 1000,
    },
    key,
  );
  gw.count('registrations', outcome);
  return outcome === 'bound' ? 200 : outcome === 'stale' ? 400 : 503;
}
