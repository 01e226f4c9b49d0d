/** Environment variables by which Deno's TLS trusts further CAs, such as a site's own. */
const CA_VARIABLES = [
  "DENO_TLS_CA_STORE",
  "DENO_CERT",
  "NODE_EXTRA_CA_CERTS",
  "NODE_USE_SYSTEM_CA",
  "DENO_NODE_USE_OPENSSL_CA",
] as const;

/**
 * Removes the variables that make TLS trust further CAs. Call it before TLS is used for the first time:
 * Deno reads them then.
 */
export function forgetEnvironmentCas(): void {
  for (const name of CA_VARIABLES) Deno.env.delete(name);
}
