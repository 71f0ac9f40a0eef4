/** SIP messages as values. parse.ts makes them from bytes; build.ts makes new ones; serialize.ts writes them. */

/** Header names we understand, canonical spelling. Everything else is counted by name and dropped at parsing. */
export type HeaderName =
  | 'Via'
  | 'From'
  | 'To'
  | 'Call-ID'
  | 'CSeq'
  | 'Contact'
  | 'Max-Forwards'
  | 'Route'
  | 'Record-Route'
  | 'Content-Type'
  | 'Content-Length'
  | 'Content-Encoding'
  | 'Content-Disposition'
  | 'Accept'
  | 'Allow'
  | 'Supported'
  | 'Require'
  | 'Proxy-Require'
  | 'Unsupported'
  | 'Authorization'
  | 'Proxy-Authorization'
  | 'WWW-Authenticate'
  | 'Proxy-Authenticate'
  | 'Expires'
  | 'Min-Expires'
  | 'Retry-After'
  | 'Reason'
  | 'Warning'
  | 'RSeq'
  | 'RAck'
  | 'Session-Expires'
  | 'Min-SE'
  | 'P-Asserted-Identity'
  | 'P-Preferred-Identity'
  | 'Privacy'
  | 'Diversion'
  | 'History-Info'
  | 'Refer-To'
  | 'Referred-By'
  | 'Replaces'
  | 'Event'
  | 'Subscription-State'
  | 'Date'
  | 'Timestamp'
  | 'User-Agent'
  | 'Server'
  | 'Allow-Events'
  | 'In-Reply-To'
  | 'Subject'
  | 'Organization'
  | 'MIME-Version'
  | 'Identity'
  | 'Alert-Info'
  | 'Call-Info'
  | 'Error-Info'
  | 'Priority'
  | 'Path'
  | 'Service-Route'
  | 'Accept-Contact'
  | 'Geolocation'
  | 'Resource-Priority';

/** A raw header: unfolded value, outer white space removed, latin1 text of UTF-8 octets (validated). */
export interface Header {
  readonly name: HeaderName;
  readonly value: string;
}

export interface SipUri {
  readonly scheme: 'sip' | 'sips' | 'tel';
  /** Unescaped user part ('' where absent); for tel the number as written. */
  readonly user: string;
  readonly password?: string;
  /** Host as written without brackets, lower case; '' for tel. */
  readonly host: string;
  readonly port?: number;
  /** Lower-case names; '' value where the parameter has none. */
  readonly parameters: ReadonlyMap<string, string>;
  /** URI headers (`?a=b`); refused in Request-URI, honoured nowhere. */
  readonly headers: string;
}

export interface NameAddress {
  /** UTF-8 decoded; undefined where absent. */
  readonly displayName?: string;
  readonly uri: SipUri;
  /** Header parameters, lower-case names, unquoted values. */
  readonly parameters: ReadonlyMap<string, string>;
}

export interface Via {
  readonly transport: string; // upper case: UDP TCP TLS ...
  readonly host: string;
  readonly port?: number;
  readonly branch: string; // '' where absent
  /** undefined: no rport parameter; 0: present without value. */
  readonly rport?: number;
  readonly received?: string;
  readonly maddr?: string;
  readonly parameters: ReadonlyMap<string, string>;
}

export interface CSeq {
  readonly number: number; // 0 .. 2^31-1
  readonly method: string;
}

/** The fields every element needs, parsed and validated once. Everything else is read lazily by header/*.ts. */
interface MessageCore {
  /** All known headers in order of arrival, list headers not split. */
  readonly headers: readonly Header[];
  readonly vias: readonly Via[]; // at least one
  readonly from: NameAddress;
  readonly to: NameAddress;
  readonly fromTag: string; // '' where absent
  readonly toTag: string;
  readonly callId: string;
  readonly cseq: CSeq;
  readonly body: Uint8Array;
  /** Names of headers not understood (bounded, lower case), for counting. */
  readonly unknownHeaders: readonly string[];
}

export interface SipRequest extends MessageCore {
  readonly kind: 'request';
  readonly method: string;
  readonly uri: SipUri;
  readonly maxForwards: number; // 70 where absent
}

export interface SipResponse extends MessageCore {
  readonly kind: 'response';
  readonly status: number; // 100..699
  readonly reason: string;
}

export type SipMessage = SipRequest | SipResponse;

/**
 * Why bytes are not a message we act on. `respond`: status to answer with where enough was parsed to address an
 * answer (then `reply` holds the echo fields); undefined: drop silently. `close`: the stream connection must end.
 */
export interface SipParseError {
  readonly reason: string; // short stable token, for the counter: 'content-length', 'utf8', 'oversize', ...
  readonly respond?: number;
  readonly reply?: ReplyFields;
  readonly close: boolean;
}

/** What a response copies from its request (RFC 3261 8.2.6.2), as raw text already checked for line breaks. */
export interface ReplyFields {
  readonly vias: readonly string[];
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly cseq: string;
  readonly method: string;
}

export const SIP_LIMITS = {
  messageBytes: 65_535,
  headerBytes: 65_536 / 2,
  headers: 200,
  headerValueBytes: 8192,
  vias: 70,
  uriBytes: 1024,
  userBytes: 256,
  callIdBytes: 256,
  tagBytes: 256,
  branchBytes: 256,
  bodyBytes: 32_768,
  parameters: 40,
  unknownHeaders: 32,
} as const;
