/**
 * Why a TLS handshake failed, from what the TLS below reports. Pure.
 *
 * @module
 */

/** Why a TLS handshake failed. */
export type TlsFault =
  /** The peer sent bytes that are no TLS. */
  | "not-tls"
  /** The peer closed or reset the connection. */
  | "ended"
  /** The peer has no client certificate. */
  | "no-client-certificate"
  /** The peer demands a client certificate. */
  | "client-certificate-demanded"
  /** The peer does not know the CA of this end's certificate. */
  | "own-ca-unknown"
  /** The peer rejected this end's certificate, or this end's TLS. */
  | "rejected"
  /** The peer's certificate is not signed by this end's CA, or is not the ticket's. */
  | "not-signed"
  /** The same, or it has expired, or it is of the wrong kind: `node:tls` has one code for these. */
  | "not-signed-or-expired"
  | "expired"
  | "not-yet-valid"
  /** The peer's certificate is for another host. */
  | "other-name"
  /** The peer's certificate is not for its end of TLS (extendedKeyUsage, RFC 5280 section 4.2.1.12). */
  | "wrong-purpose"
  | "unknown";

/** Codes of `node:tls`: OpenSSL's names for the verification of a certificate, Node's own, errno's. */
const BY_CODE: Readonly<Record<string, TlsFault>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: "not-tls",
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "no-client-certificate",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "client-certificate-demanded",
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "own-ca-unknown",
  ERR_TLS_CERT_ALTNAME_INVALID: "other-name",
  CERT_HAS_EXPIRED: "expired",
  CERT_NOT_YET_VALID: "not-yet-valid",
  INVALID_PURPOSE: "wrong-purpose",
  DEPTH_ZERO_SELF_SIGNED_CERT: "not-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "not-signed",
  CERT_SIGNATURE_FAILURE: "not-signed",
  UNABLE_TO_GET_ISSUER_CERT: "not-signed",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "not-signed",
  // Deno's `node:tls` also says so of a certificate that has expired or is of the wrong kind.
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "not-signed-or-expired",
  ECONNRESET: "ended",
  EPIPE: "ended",
};

/** Names of the errors of Deno's own TLS. */
const BY_NAME: Readonly<Record<string, TlsFault>> = {
  UnexpectedEof: "ended",
  ConnectionReset: "ended",
  ConnectionAborted: "ended",
  BrokenPipe: "ended",
};

/** rustls's names of alerts (RFC 8446 section 6) and of certificate errors. */
const BY_RUSTLS_NAME: Readonly<Record<string, TlsFault>> = {
  CertificateRequired: "client-certificate-demanded",
  UnknownCA: "own-ca-unknown",
  Expired: "expired",
  NotValidYet: "not-yet-valid",
  NotValidForName: "other-name",
  InvalidPurpose: "wrong-purpose",
};

/**
 * The fault behind an error of a handshake, or of the first read after one.
 *
 * @param error of `node:tls` (the `authorizationError` of a socket, too, which is a code alone) or of
 * Deno's TLS.
 */
export function faultOf(error: unknown): TlsFault {
  if (typeof error === "string") return BY_CODE[error] ?? "unknown";
  if (!(error instanceof Error)) return "unknown";
  const { code } = error as { code?: unknown };
  if (typeof code === "string" && code in BY_CODE) return BY_CODE[code]!;
  if (typeof code === "string" && /^ERR_SSL_.*_ALERT_/.test(code)) return "rejected";
  return BY_NAME[error.name] ?? rustlsFault(error.message);
}

/**
 * By the words of rustls: Deno's own TLS reports every fault of a certificate, every alert and every
 * message that is no TLS as `InvalidData` without a code.
 */
function rustlsFault(message: string): TlsFault {
  if (/^received corrupt message/.test(message)) return "not-tls";
  const alert = /^received fatal alert: (\w+)/.exec(message)?.[1];
  if (alert !== undefined) return BY_RUSTLS_NAME[alert] ?? "rejected";
  const certificate = /^invalid peer certificate: (\w+)/.exec(message)?.[1];
  if (certificate !== undefined) return BY_RUSTLS_NAME[certificate] ?? "not-signed";
  return "unknown";
}
