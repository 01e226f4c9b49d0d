/**
 * What TLS says when it does not come about, in words that say what to do.
 *
 * @module
 */
import { messageOf } from "../../io/mod.ts";
import { TransportError } from "../errors.ts";

/** Which proof of the other end is looked at: a ticket's key, or certificates of an authority. */
export type TlsProof = "ticket" | "certificates";

/**
 * The error of a TLS handshake that failed.
 *
 * @param who whom it was tried with, as in "127.0.0.1:7450".
 */
export function tlsError(error: unknown, proof: TlsProof, who: string): TransportError {
  return new TransportError(wordsOf(messageOf(error), proof, who), { cause: error });
}

/** That this end turned the other one's certificate away. */
const CERTIFICATE =
  /UnknownIssuer|BadSignature|invalid peer certificate|self.?signed|UNABLE_TO|unable to|CERT_|altnames|certificate has expired|not yet valid/i;

function wordsOf(said: string, proof: TlsProof, who: string): string {
  const reason = ` (TLS: ${said})`;
  if (/corrupt message|InvalidContentType|InvalidMessage|wrong version number/i.test(said)) {
    return `What came from ${who} is not TLS: that end does not encrypt` + reason;
  }
  if (/received fatal alert/i.test(said)) return alertWords(said, proof, who) + reason;
  if (CERTIFICATE.test(said)) {
    return certificateWords(said, proof, who) + reason;
  }
  if (/no certificates?|did not return a certificate/i.test(said)) {
    return `${who} showed no client certificate, which is demanded here` + reason;
  }
  if (/eof|UnexpectedEof|unexpected end|close_notify|reset by peer|broken pipe/i.test(said)) {
    return `${who} ended the connection in the TLS handshake` + reason;
  }
  return `TLS with ${who} failed` + reason;
}

/** The other end turned ours away. */
function alertWords(said: string, proof: TlsProof, who: string): string {
  if (/CertificateRequired/i.test(said)) {
    return `${who} demands a client certificate; give --tls-dir with client-cert.pem and ` +
      "client-key.pem";
  }
  if (proof === "ticket") {
    return `${who} does not take this end's certificate: it holds another ticket, or is in between`;
  }
  if (/UnknownC[aA]/i.test(said)) {
    return `${who} does not know the authority that signed this end's certificate`;
  }
  return `${who} turned this end's TLS away`;
}

/** This end turns the other one's certificate away. */
function certificateWords(said: string, proof: TlsProof, who: string): string {
  if (proof === "ticket") {
    return `Who answers at ${who} does not hold the ticket's key: the ticket is another receive's, ` +
      "or somebody is in between";
  }
  if (/NotValidForName|altnames|does not match/i.test(said)) {
    return `The certificate of ${who} is made out to another name`;
  }
  if (/expired/i.test(said)) return `The certificate of ${who} has expired`;
  if (/NotValidYet|not yet valid/i.test(said)) {
    return `The certificate of ${who} is not valid yet; is the clock right?`;
  }
  if (/InvalidPurpose|ExtendedKeyUsage/i.test(said)) {
    return `The certificate of ${who} is not made for this end of TLS (extendedKeyUsage)`;
  }
  // `node:tls` tells the one no better than the other.
  const orOld = /UNABLE_TO|unable to/i.test(said) ? ", or has expired" : "";
  return `The certificate of ${who} is not signed by the authority in ca-cert.pem${orOld}`;
}
