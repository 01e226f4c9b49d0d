/** Environment variables by which Deno's TLS trusts further authorities, a site's own for one. */
const AUTHORITIES = [
  "DENO_TLS_CA_STORE",
  "DENO_CERT",
  "NODE_EXTRA_CA_CERTS",
  "NODE_USE_SYSTEM_CA",
  "DENO_NODE_USE_OPENSSL_CA",
] as const;

/**
 * Nothing in the environment says whom TLS trusts here. To be called before TLS is used for the first
 * time, which is when that is read.
 */
export function forgetAuthorities(): void {
  for (const name of AUTHORITIES) Deno.env.delete(name);
}
