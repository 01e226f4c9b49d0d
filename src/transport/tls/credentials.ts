import { InputError } from "../errors.ts";
import type { ClosedMode, ReadPrivate } from "../transport.ts";
import type { TlsCredentials } from "./tls.ts";

/** Longest file that is read, bytes. */
const LONGEST = 256 * 1024;
/** The group of QEMU may often read its keys; nobody else may. */
const KEY_CLOSED = 0o027;
/** A user who can write these decides which clients are let in. */
const CERTIFICATE_CLOSED = 0o022;

/**
 * Reads certificates and the key of one end from a directory laid out as QEMU's `tls-creds-x509` has
 * it: `ca-cert.pem`, and `server-cert.pem`, `server-key.pem` or `client-cert.pem`, `client-key.pem`.
 *
 * @throws {InputError} when a file is no PEM.
 * @throws what `readPrivate` throws: a file is missing or another user's, others can read a key or
 * write a certificate.
 */
export async function readCredentials(
  dir: string,
  end: "server" | "client",
  readPrivate: ReadPrivate,
): Promise<TlsCredentials> {
  return {
    ca: await readPem(readPrivate, `${dir}/ca-cert.pem`, "CERTIFICATE", CERTIFICATE_CLOSED),
    certificate: await readPem(
      readPrivate,
      `${dir}/${end}-cert.pem`,
      "CERTIFICATE",
      CERTIFICATE_CLOSED,
    ),
    privateKey: await readPem(readPrivate, `${dir}/${end}-key.pem`, "PRIVATE KEY", KEY_CLOSED),
  };
}

async function readPem(
  readPrivate: ReadPrivate,
  path: string,
  what: string,
  closed: ClosedMode,
): Promise<string> {
  const text = new TextDecoder().decode(await readPrivate(path, "--tls-dir", LONGEST, closed));
  if (!new RegExp(`-----BEGIN ([A-Z]+ )?${what}-----`).test(text)) {
    throw new InputError(`--tls-dir: ${path} holds no ${what} in PEM`);
  }
  return `${text}\n`;
}
