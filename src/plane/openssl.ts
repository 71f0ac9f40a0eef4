import { X509Certificate } from 'node:crypto';
import type { TlsIdentity } from '../net/tls.ts';
import { defineAll, type Native, type NativeMemory } from './native.ts';

/** The functions of the OpenSSL inside node that lanes use; pointers are numbers. `long` is 64 bits wide on what native.ts loads on. */
export interface OpensslCalls {
  TLS_method(): number;
  SSL_CTX_new(method: number): number;
  SSL_CTX_free(context: number): void;
  SSL_CTX_ctrl(context: number, command: number, value: number, pointer: number): number;
  SSL_CTX_set_options(context: number, options: number): number;
  SSL_CTX_set_num_tickets(context: number, count: number): number;
  SSL_CTX_set_ciphersuites(context: number, names: number): number;
  SSL_CTX_set_verify(context: number, mode: number, callback: number): void;
  SSL_CTX_set_default_read_buffer_len(context: number, length: number): void;
  SSL_CTX_use_certificate(context: number, certificate: number): number;
  SSL_CTX_use_PrivateKey(context: number, key: number): number;
  SSL_CTX_check_private_key(context: number): number;
  SSL_CTX_get_cert_store(context: number): number;
  BIO_new_mem_buf(data: number, length: number): number;
  BIO_free(bio: number): number;
  PEM_read_bio_X509(bio: number, into: number, callback: number, user: number): number;
  PEM_read_bio_X509_CRL(bio: number, into: number, callback: number, user: number): number;
  PEM_read_bio_PrivateKey(bio: number, into: number, callback: number, user: number): number;
  EVP_PKEY_free(key: number): void;
  X509_free(certificate: number): void;
  X509_CRL_free(list: number): void;
  X509_STORE_add_cert(store: number, certificate: number): number;
  X509_STORE_add_crl(store: number, list: number): number;
  X509_STORE_set_flags(store: number, flags: number): number;
  i2d_X509(certificate: number, out: number): number;
  SSL_new(context: number): number;
  SSL_free(ssl: number): void;
  SSL_set_fd(ssl: number, fd: number): number;
  SSL_ctrl(ssl: number, command: number, value: number, pointer: number): number;
  SSL_set_connect_state(ssl: number): void;
  SSL_set_accept_state(ssl: number): void;
  SSL_do_handshake(ssl: number): number;
  SSL_read(ssl: number, into: number, length: number): number;
  SSL_write(ssl: number, from: number, length: number): number;
  SSL_has_pending(ssl: number): number;
  SSL_shutdown(ssl: number): number;
  SSL_get_error(ssl: number, result: number): number;
  SSL_get_verify_result(ssl: number): number;
  SSL_get1_peer_certificate(ssl: number): number;
  SSL_export_keying_material(
    ssl: number,
    out: number,
    outLength: number,
    label: number,
    labelLength: number,
    context: number,
    contextLength: number,
    useContext: number,
  ): number;
  ERR_clear_error(): void;
  ERR_get_error(): number;
  ERR_error_string_n(code: number, into: number, length: number): void;
}

const DECLARATIONS: Readonly<Record<keyof OpensslCalls, string>> = {
  TLS_method: 'uintptr_t TLS_method()',
  SSL_CTX_new: 'uintptr_t SSL_CTX_new(uintptr_t)',
  SSL_CTX_free: 'void SSL_CTX_free(uintptr_t)',
  SSL_CTX_ctrl: 'long SSL_CTX_ctrl(uintptr_t, int, long, uintptr_t)',
  SSL_CTX_set_options: 'uint64_t SSL_CTX_set_options(uintptr_t, uint64_t)',
  SSL_CTX_set_num_tickets: 'int SSL_CTX_set_num_tickets(uintptr_t, size_t)',
  SSL_CTX_set_ciphersuites: 'int SSL_CTX_set_ciphersuites(uintptr_t, uintptr_t)',
  SSL_CTX_set_verify: 'void SSL_CTX_set_verify(uintptr_t, int, uintptr_t)',
  SSL_CTX_set_default_read_buffer_len: 'void SSL_CTX_set_default_read_buffer_len(uintptr_t, size_t)',
  SSL_CTX_use_certificate: 'int SSL_CTX_use_certificate(uintptr_t, uintptr_t)',
  SSL_CTX_use_PrivateKey: 'int SSL_CTX_use_PrivateKey(uintptr_t, uintptr_t)',
  SSL_CTX_check_private_key: 'int SSL_CTX_check_private_key(uintptr_t)',
  SSL_CTX_get_cert_store: 'uintptr_t SSL_CTX_get_cert_store(uintptr_t)',
  BIO_new_mem_buf: 'uintptr_t BIO_new_mem_buf(uintptr_t, int)',
  BIO_free: 'int BIO_free(uintptr_t)',
  PEM_read_bio_X509: 'uintptr_t PEM_read_bio_X509(uintptr_t, uintptr_t, uintptr_t, uintptr_t)',
  PEM_read_bio_X509_CRL: 'uintptr_t PEM_read_bio_X509_CRL(uintptr_t, uintptr_t, uintptr_t, uintptr_t)',
  PEM_read_bio_PrivateKey: 'uintptr_t PEM_read_bio_PrivateKey(uintptr_t, uintptr_t, uintptr_t, uintptr_t)',
  EVP_PKEY_free: 'void EVP_PKEY_free(uintptr_t)',
  X509_free: 'void X509_free(uintptr_t)',
  X509_CRL_free: 'void X509_CRL_free(uintptr_t)',
  X509_STORE_add_cert: 'int X509_STORE_add_cert(uintptr_t, uintptr_t)',
  X509_STORE_add_crl: 'int X509_STORE_add_crl(uintptr_t, uintptr_t)',
  X509_STORE_set_flags: 'int X509_STORE_set_flags(uintptr_t, unsigned long)',
  i2d_X509: 'int i2d_X509(uintptr_t, uintptr_t)',
  SSL_new: 'uintptr_t SSL_new(uintptr_t)',
  SSL_free: 'void SSL_free(uintptr_t)',
  SSL_set_fd: 'int SSL_set_fd(uintptr_t, int)',
  SSL_ctrl: 'long SSL_ctrl(uintptr_t, int, long, uintptr_t)',
  SSL_set_connect_state: 'void SSL_set_connect_state(uintptr_t)',
  SSL_set_accept_state: 'void SSL_set_accept_state(uintptr_t)',
  SSL_do_handshake: 'int SSL_do_handshake(uintptr_t)',
  SSL_read: 'int SSL_read(uintptr_t, uintptr_t, int)',
  SSL_write: 'int SSL_write(uintptr_t, uintptr_t, int)',
  SSL_has_pending: 'int SSL_has_pending(uintptr_t)',
  SSL_shutdown: 'int SSL_shutdown(uintptr_t)',
  SSL_get_error: 'int SSL_get_error(uintptr_t, int)',
  SSL_get_verify_result: 'long SSL_get_verify_result(uintptr_t)',
  SSL_get1_peer_certificate: 'uintptr_t SSL_get1_peer_certificate(uintptr_t)',
  SSL_export_keying_material:
    'int SSL_export_keying_material(uintptr_t, uintptr_t, size_t, uintptr_t, size_t, uintptr_t, size_t, int)',
  ERR_clear_error: 'void ERR_clear_error()',
  ERR_get_error: 'unsigned long ERR_get_error()',
  ERR_error_string_n: 'void ERR_error_string_n(unsigned long, uintptr_t, size_t)',
};

// Constants of OpenSSL 3 (ssl.h, x509_vfy.h).
const CTRL_MODE = 33;
const CTRL_SET_READ_AHEAD = 41;
const CTRL_SET_SESS_CACHE_MODE = 44;
const CTRL_SET_TLSEXT_HOSTNAME = 55;
const CTRL_CHAIN_CERT = 89;
const CTRL_SET_MIN_PROTO_VERSION = 123;
const CTRL_SET_MAX_PROTO_VERSION = 124;
const TLS1_3_VERSION = 0x0304;
const OP_NO_TICKET = 0x4000;
const MODE_ENABLE_PARTIAL_WRITE = 1;
const MODE_ACCEPT_MOVING_WRITE_BUFFER = 2;
const VERIFY_PEER = 1;
const VERIFY_FAIL_IF_NO_PEER_CERT = 2;
const X509_V_FLAG_CRL_CHECK = 4;
const X509_V_FLAG_CRL_CHECK_ALL = 8;
const X509_V_OK = 0;
/** What one read(2) may bring: several records. */
const READ_BUFFER = 64 * 1024;
const MAX_CERTIFICATE = 64 * 1024;

export const SSL_ERROR_WANT_READ = 2;
export const SSL_ERROR_WANT_WRITE = 3;
export const SSL_ERROR_ZERO_RETURN = 6;

/** The tunnel's TLS profile (net/tls.ts says it for Node) for OpenSSL itself: 1.3 only, both verified against the own CA, nothing resumed. */
export class Openssl {
  readonly calls: OpensslCalls;
  readonly #native: Native;
  readonly #scratch: NativeMemory;

  /** Throws where the process has no OpenSSL 3 to call. */
  constructor(native: Native) {
    this.#native = native;
    this.calls = defineAll<OpensslCalls>(native, DECLARATIONS);
    this.#scratch = native.allocate(MAX_CERTIFICATE);
  }

  /** An SSL_CTX; the caller frees it. Throws where the PEM text is not usable. */
  context(identity: TlsIdentity, ciphers: string): number {
    const { calls } = this;
    calls.ERR_clear_error();
    const context = calls.SSL_CTX_new(calls.TLS_method());
    if (context === 0) throw this.#error('SSL_CTX_new');
    try {
      this.#profile(context, ciphers);
      this.#own(context, identity);
      this.#trust(context, identity);
      return context;
    } catch (error) {
      calls.SSL_CTX_free(context);
      throw error;
    }
  }

  /** An SSL on `fd`; the caller frees it, before its context. `serverName` on the client's side, else the server's. */
  connection(context: number, fd: number, serverName: string | undefined): number {
    const { calls } = this;
    const ssl = calls.SSL_new(context);
    if (ssl === 0) throw this.#error('SSL_new');
    calls.SSL_set_fd(ssl, fd);
    if (serverName === undefined) {
      calls.SSL_set_accept_state(ssl);
      return ssl;
    }
    calls.SSL_set_connect_state(ssl);
    calls.SSL_ctrl(ssl, CTRL_SET_TLSEXT_HOSTNAME, 0, this.#text(serverName));
    return ssl;
  }

  /** The far end's certificate once the handshake is over; undefined where it did not verify. */
  peer(ssl: number): X509Certificate | undefined {
    const { calls } = this;
    const scratch = this.#scratch;
    if (calls.SSL_get_verify_result(ssl) !== X509_V_OK) return undefined;
    const certificate = calls.SSL_get1_peer_certificate(ssl);
    if (certificate === 0) return undefined;
    try {
      const length = calls.i2d_X509(certificate, 0);
      if (length <= 0 || length > MAX_CERTIFICATE - 8) return undefined;
      // i2d moves the pointer it is given: it stands in the first 8 octets.
      scratch.bytes.writeBigUInt64LE(BigInt(scratch.address + 8), 0);
      calls.i2d_X509(certificate, scratch.address);
      return new X509Certificate(scratch.bytes.subarray(8, 8 + length));
    } finally {
      calls.X509_free(certificate);
    }
  }

  /** RFC 8446 7.5, without context. */
  exporter(ssl: number, label: string, length: number): Uint8Array {
    const name = this.#text(label);
    const out = this.#native.allocate(length);
    if (this.calls.SSL_export_keying_material(ssl, out.address, length, name, label.length, name, 0, 1) !== 1)
      throw this.#error('SSL_export_keying_material');
    return Uint8Array.from(out.bytes);
  }

  /** What OpenSSL says of the last failure. */
  reason(): string {
    const code = this.calls.ERR_get_error();
    if (code === 0) return this.#native.lastError();
    this.calls.ERR_error_string_n(code, this.#scratch.address, 256);
    const { bytes } = this.#scratch;
    const text = bytes.toString('latin1', 0, bytes.indexOf(0));
    // error:0A000086:SSL routines::certificate verify failed
    return text.split(':').at(-1) || text;
  }

  #profile(context: number, ciphers: string): void {
    const { calls } = this;
    const control = (command: number, value: number): number =>
      calls.SSL_CTX_ctrl(context, command, value, 0);
    this.#must(control(CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION), 'minimum version');
    this.#must(control(CTRL_SET_MAX_PROTO_VERSION, TLS1_3_VERSION), 'maximum version');
    this.#must(calls.SSL_CTX_set_ciphersuites(context, this.#text(ciphers)), 'ciphers');
    calls.SSL_CTX_set_options(context, OP_NO_TICKET);
    calls.SSL_CTX_set_num_tickets(context, 0);
    control(CTRL_SET_SESS_CACHE_MODE, 0);
    control(CTRL_MODE, MODE_ENABLE_PARTIAL_WRITE | MODE_ACCEPT_MOVING_WRITE_BUFFER);
    control(CTRL_SET_READ_AHEAD, 1);
    calls.SSL_CTX_set_default_read_buffer_len(context, READ_BUFFER);
    calls.SSL_CTX_set_verify(context, VERIFY_PEER | VERIFY_FAIL_IF_NO_PEER_CERT, 0);
  }

  #own(context: number, identity: TlsIdentity): void {
    const { calls } = this;
    const [own, ...chain] = this.#read(identity.certificate, calls.PEM_read_bio_X509);
    this.#must(own === undefined ? 0 : calls.SSL_CTX_use_certificate(context, own), 'certificate');
    for (const certificate of chain) calls.SSL_CTX_ctrl(context, CTRL_CHAIN_CERT, 1, certificate);
    for (const certificate of [own!, ...chain]) calls.X509_free(certificate);
    const [key] = this.#read(identity.key, calls.PEM_read_bio_PrivateKey);
    this.#must(key === undefined ? 0 : calls.SSL_CTX_use_PrivateKey(context, key), 'key');
    calls.EVP_PKEY_free(key!);
    this.#must(calls.SSL_CTX_check_private_key(context), 'key of the certificate');
  }

  #trust(context: number, identity: TlsIdentity): void {
    const { calls } = this;
    if (identity.ca === undefined) throw new Error('tunnel TLS needs the CA certificate');
    const store = calls.SSL_CTX_get_cert_store(context);
    const authorities = this.#read(identity.ca, calls.PEM_read_bio_X509);
    this.#must(authorities.length, 'CA certificate');
    for (const authority of authorities) {
      this.#must(calls.X509_STORE_add_cert(store, authority), 'CA certificate');
      calls.X509_free(authority);
    }
    if (identity.crl === undefined) return;
    const lists = this.#read(identity.crl, calls.PEM_read_bio_X509_CRL);
    this.#must(lists.length, 'CRL');
    for (const list of lists) {
      this.#must(calls.X509_STORE_add_crl(store, list), 'CRL');
      calls.X509_CRL_free(list);
    }
    calls.X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  }

  /** All objects of one kind in a PEM text. */
  #read(pem: string, read: OpensslCalls['PEM_read_bio_X509']): number[] {
    const { calls } = this;
    const text = this.#native.text(pem);
    const bio = calls.BIO_new_mem_buf(text.address, text.bytes.length - 1);
    const found: number[] = [];
    // Keys are not encrypted; an empty password (a NUL, as `user`) keeps OpenSSL from asking at the terminal.
    const password = text.address + text.bytes.length - 1;
    for (let one = read(bio, 0, 0, password); one !== 0; one = read(bio, 0, 0, password)) found.push(one);
    calls.BIO_free(bio);
    calls.ERR_clear_error(); // the end of the text is an error to it
    text.bytes.fill(0); // keys stay nowhere but in OpenSSL
    return found;
  }

  /** Valid until the next call. */
  #text(value: string): number {
    const { bytes, address } = this.#scratch;
    bytes.writeUInt8(0, bytes.write(value, 0, 1024, 'utf8'));
    return address;
  }

  #must(result: number, what: string): void {
    if (result <= 0) throw this.#error(what);
  }

  #error(what: string): Error {
    return new Error(`TLS ${what}: ${this.reason()}`);
  }
}
