/**
 * The certificate of a ticket: an Ed25519 key (RFC 8410) in an X.509 version 3 certificate (RFC 5280)
 * in which nothing else varies. The public key alone is so enough to make the trust anchor for it.
 *
 * By hand: every library has dependencies of its own, and all of it is the few constants below. rustls
 * checks the certificates.
 *
 * @module
 */
import { encodeBase64 } from "@std/encoding/base64";

/** The name in the certificate. No CA signs a name under `.invalid` (RFC 2606). */
export const TICKET_NAME = "ticket.vmferry.invalid";
/** Length of an Ed25519 public key, bytes. */
export const PUBLIC_KEY_LENGTH = 32;

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OID = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
/** `[0] EXPLICIT`, of the version, and `[3] EXPLICIT`, of the extensions. */
const CONTEXT_0 = 0xa0;
const CONTEXT_3 = 0xa3;
/** `[2] IMPLICIT IA5String`: dNSName in subjectAltName. */
const DNS_NAME = 0x82;

const ED25519 = der(SEQUENCE, der(OID, Uint8Array.of(0x2b, 0x65, 0x70)));
const COMMON_NAME = der(OID, Uint8Array.of(0x55, 0x04, 0x03));
const SUBJECT_ALT_NAME = der(OID, Uint8Array.of(0x55, 0x1d, 0x11));

/** The key of one ticket, and its certificate. Key and certificate are PEM, `publicKey` is raw. */
export interface TicketIdentity {
  /** The raw Ed25519 key (RFC 8032), 32 bytes. */
  readonly publicKey: Uint8Array;
  /** X.509, PEM. */
  readonly certificate: string;
  /** PKCS #8, PEM. */
  readonly privateKey: string;
}

/** Makes a new key, in memory only. */
export async function makeTicketIdentity(): Promise<TicketIdentity> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const body = toBeSigned(publicKey);
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", pair.privateKey, body));
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  return {
    publicKey,
    certificate: pem("CERTIFICATE", certificate(body, signature)),
    privateKey: pem("PRIVATE KEY", pkcs8),
  };
}

/** The trust anchor, PEM, that accepts the holder of one key and nobody else. */
export function ticketAnchor(publicKey: Uint8Array): string {
  // TLS does not verify the signature of a trust anchor (RFC 5280 section 6.1).
  return pem("CERTIFICATE", certificate(toBeSigned(publicKey), new Uint8Array(64)));
}

function toBeSigned(publicKey: Uint8Array): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder();
  const name = der(
    SEQUENCE,
    der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8_STRING, text.encode(TICKET_NAME)))),
  );
  // Without an end (RFC 5280 section 4.1.2.5): a ticket ends with its receive, and clocks may be wrong.
  const validity = der(
    SEQUENCE,
    der(UTC_TIME, text.encode("700101000000Z")),
    der(GENERALIZED_TIME, text.encode("99991231235959Z")),
  );
  const altName = der(SEQUENCE, der(DNS_NAME, text.encode(TICKET_NAME)));
  return der(
    SEQUENCE,
    der(CONTEXT_0, der(INTEGER, Uint8Array.of(2))),
    der(INTEGER, Uint8Array.of(1)),
    ED25519,
    name,
    validity,
    name,
    der(SEQUENCE, ED25519, der(BIT_STRING, Uint8Array.of(0), publicKey)),
    der(CONTEXT_3, der(SEQUENCE, der(SEQUENCE, SUBJECT_ALT_NAME, der(OCTET_STRING, altName)))),
  );
}

function certificate(body: Uint8Array, signature: Uint8Array): Uint8Array<ArrayBuffer> {
  return der(SEQUENCE, body, ED25519, der(BIT_STRING, Uint8Array.of(0), signature));
}

/** Tag, length, contents (X.690, definite form). */
function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((n, p) => n + p.length, 0);
  const head = length < 128
    ? [tag, length]
    : length < 256
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  const bytes = new Uint8Array(head.length + length);
  bytes.set(head);
  let at = head.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function pem(label: string, bytes: Uint8Array): string {
  const text = encodeBase64(bytes).replaceAll(/.{64}/g, "$&\n").trimEnd();
  return `-----BEGIN ${label}-----\n${text}\n-----END ${label}-----\n`;
}
