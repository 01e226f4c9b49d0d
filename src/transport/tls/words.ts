/**
 * A TLS handshake that failed, with what to do about it.
 *
 * @module
 */
import { messageOf } from "../../io/mod.ts";
import { TransportError } from "../errors.ts";
import { faultOf, type TlsFault } from "./faults.ts";

/** What shows who the peer is: the key that a ticket names, or certificates of a CA. */
export type TlsProof = "ticket" | "certificates";

/** A TLS handshake failed. */
export class TlsError extends TransportError {
  override name = "TlsError";
  readonly fault: TlsFault;

  /** @param who the peer, as in `127.0.0.1:7450`. */
  constructor(error: unknown, proof: TlsProof, who: string) {
    const fault = faultOf(error);
    const message = proof === "ticket" ? ticketWords(fault, who) : certificateWords(fault, who);
    super(`${message} (TLS: ${messageOf(error)})`, { cause: error, failure: "failed" });
    this.fault = fault;
  }
}

/** A handshake under a ticket: any fault of a certificate shows another key. */
function ticketWords(fault: TlsFault, who: string): string {
  switch (fault) {
    case "own-ca-unknown":
    case "rejected":
      return `${who} does not take this end's certificate: the source has another ticket, or another ` +
        "host is in between";
    case "not-signed":
    case "not-signed-or-expired":
    case "expired":
    case "not-yet-valid":
    case "other-name":
    case "wrong-purpose":
      return `${who} does not hold the ticket's key: the ticket is another receive's, or another ` +
        "host is in between";
    default:
      return certificateWords(fault, who);
  }
}

function certificateWords(fault: TlsFault, who: string): string {
  const certificate = `The certificate of ${who}`;
  switch (fault) {
    case "not-tls":
      return `What came from ${who} is not TLS: that end does not encrypt`;
    case "ended":
      return `${who} ended the connection in the TLS handshake`;
    case "no-client-certificate":
      return `${who} showed no client certificate, which this end demands`;
    case "client-certificate-demanded":
      return `${who} demands a client certificate: give --tls-dir with client-cert.pem and ` +
        "client-key.pem";
    case "own-ca-unknown":
      return `${who} does not know the CA that signed this end's certificate`;
    case "rejected":
      return `${who} rejected this end's TLS`;
    case "not-signed":
      return `${certificate} is not signed by the CA in ca-cert.pem`;
    case "not-signed-or-expired":
      return `${certificate} is not signed by the CA in ca-cert.pem, has expired or is not for its ` +
        "end of TLS";
    case "expired":
      return `${certificate} has expired`;
    case "not-yet-valid":
      return `${certificate} is not valid yet; compare the clocks of both hosts`;
    case "other-name":
      return `${certificate} is made out to another name`;
    case "wrong-purpose":
      return `${certificate} is not for its end of TLS (extendedKeyUsage)`;
    case "unknown":
      return `TLS with ${who} failed`;
  }
}
