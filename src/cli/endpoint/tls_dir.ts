import type { TlsCredentials } from "../../transport/mod.ts";
import { readPrivate } from "./private_file.ts";
import { UsageError } from "../args/usage_error.ts";

/** Longest file that is read, bytes. */
const LONGEST = 256 * 1024;
/** QEMU's keys often are its group's, too; nobody else may read them. */
const KEY_CLOSED = 0o027;
/** Whoever can write these decides who is let in. */
const CERTIFICATE_CLOSED = 0o022;

/**
 * Reads certificates and the key of one end from a folder laid out as QEMU's `tls-creds-x509` has
 * it: `ca-cert.pem`, and `server-cert.pem`, `server-key.pem` or `client-cert.pem`, `client-key.pem`.
 *
 * @throws {UsageError} naming the file that is missing, no PEM, another user's, a key that others can read or
 * a certificate that they can write.
 */
export async function readCredentials(
  dir: string,
  end: "server" | "client",
): Promise<TlsCredentials> {
  return {
    authority: await readPem(`${dir}/ca-cert.pem`, "CERTIFICATE", CERTIFICATE_CLOSED),
    certificate: await readPem(`${dir}/${end}-cert.pem`, "CERTIFICATE", CERTIFICATE_CLOSED),
    privateKey: await readPem(`${dir}/${end}-key.pem`, "PRIVATE KEY", KEY_CLOSED),
  };
}

async function readPem(
  path: string,
  what: string,
  closed: typeof KEY_CLOSED | typeof CERTIFICATE_CLOSED,
): Promise<string> {
  const text = new TextDecoder().decode(await readPrivate(path, "--tls-dir", LONGEST, closed));
  if (!new RegExp(`-----BEGIN ([A-Z]+ )?${what}-----`).test(text)) {
    throw new UsageError(`--tls-dir: ${path} holds no ${what} in PEM`);
  }
  return `${text}\n`;
}
