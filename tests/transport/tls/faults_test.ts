import { assert, assertEquals } from "@std/assert";
import { faultOf, type TlsFault } from "../../../src/transport/tls/faults.ts";
import { TlsError } from "../../../src/transport/tls/words.ts";

const coded = (code: string) => Object.assign(new Error("any words at all"), { code });

Deno.test("an error of node:tls with a code is judged by its code, whatever its words", () => {
  const codes: readonly (readonly [string, TlsFault])[] = [
    ["ERR_SSL_WRONG_VERSION_NUMBER", "not-tls"],
    ["ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", "no-client-certificate"],
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "client-certificate-demanded"],
    ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "own-ca-unknown"],
    ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", "rejected"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "other-name"],
    ["SELF_SIGNED_CERT_IN_CHAIN", "not-signed"],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "not-signed-or-expired"],
    ["CERT_HAS_EXPIRED", "expired"],
    ["ECONNRESET", "ended"],
    ["ERR_NEVER_HEARD_OF", "unknown"],
  ];
  for (const [code, fault] of codes) assertEquals(faultOf(coded(code)), fault, code);
  assertEquals(faultOf("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), "not-signed-or-expired");
});

Deno.test("an error of Deno's TLS without a code is judged by its name, else by rustls's word", () => {
  const faults: readonly (readonly [Error, TlsFault])[] = [
    [new Deno.errors.UnexpectedEof("x"), "ended"],
    [new Deno.errors.ConnectionReset("x"), "ended"],
    [new Deno.errors.InvalidData("received corrupt message of type InvalidContentType"), "not-tls"],
    [new Deno.errors.InvalidData("received fatal alert: DecryptError"), "rejected"],
    [new Deno.errors.InvalidData("received fatal alert: UnknownCA"), "own-ca-unknown"],
    [new Deno.errors.InvalidData("invalid peer certificate: BadSignature"), "not-signed"],
    [new Deno.errors.InvalidData("invalid peer certificate: Expired"), "expired"],
    [new Deno.errors.InvalidData("something new"), "unknown"],
  ];
  for (const [error, fault] of faults) assertEquals(faultOf(error), fault, error.message);
});

Deno.test("a fault of a certificate under a ticket is about its key and not about a CA", () => {
  for (const code of ["SELF_SIGNED_CERT_IN_CHAIN", "CERT_HAS_EXPIRED", "INVALID_PURPOSE"]) {
    const error = new TlsError(coded(code), "ticket", "h:1");
    assert(error.message.startsWith("h:1 does not hold the ticket's key"), error.message);
  }
  const error = new TlsError(coded("CERT_HAS_EXPIRED"), "certificates", "h:1");
  assertEquals(error.message, "The certificate of h:1 has expired (TLS: any words at all)");
  assertEquals([error.fault, error.failure], ["expired", "failed"]);
});
