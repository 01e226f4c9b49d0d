/**
 * Proofs that an end knows the secret. The secret and the keys never go over the wire. All are
 * HMAC-SHA-256 (RFC 2104); the transcript is a SHA-256 over both prefaces and HELLOs, so a proof is
 * good for one connection and one direction only.
 *
 * @module
 */

const text = new TextEncoder();

/** Keys of one session, from the secret and the transcript of its first connection. */
export interface SessionKeys {
  /** Proves later connections of the same session. */
  readonly sessionKey: CryptoKey;
}

/** The key that stands for the secret; without a secret, one that everybody knows. */
export async function secretKey(secret: Uint8Array | undefined): Promise<CryptoKey> {
  const raw = await importKey(secret ?? new Uint8Array(1));
  return importKey(await sign(raw, text.encode("vmferry tunnel 1 secret")));
}

/** Hash of what both ends said before the proofs, and of what ties it to the transport. */
export async function transcript(
  said: {
    connecting: readonly Uint8Array[];
    listening: readonly Uint8Array[];
    binding?: Uint8Array;
  },
): Promise<Uint8Array> {
  const parts = [...said.connecting, ...said.listening, said.binding ?? new Uint8Array()];
  return new Uint8Array(await crypto.subtle.digest("SHA-256", concat(parts)));
}

/** What each end proves at the start of a session. */
export function authCredential(
  key: CryptoKey,
  role: "connecting" | "listening",
  hash: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  return sign(key, concat([text.encode(`vmferry tunnel 1 ${role}`), hash]));
}

/** The key that later connections of this session are proved with. */
export async function sessionKey(key: CryptoKey, hash: Uint8Array): Promise<CryptoKey> {
  return importKey(await sign(key, concat([text.encode("vmferry tunnel 1 session"), hash])));
}

/**
 * The secret that takes the place of one that is good for one session only: whoever had that session
 * can prove itself again.
 */
export function successorSecret(session: { readonly key: CryptoKey }): Promise<Uint8Array> {
  return sign(session.key, text.encode("vmferry tunnel 1 successor"));
}

/** What each end proves when a session goes on over a new connection. */
export function resumeCredential(
  key: CryptoKey,
  role: "connecting" | "listening",
  hash: Uint8Array,
  numbers: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  return sign(key, concat([text.encode(`vmferry tunnel 1 resume ${role}`), hash, numbers]));
}

/** Compares two proofs in a time that does not depend on where they differ. */
export function sameCredential(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

function importKey(raw: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey(
    "raw",
    new Uint8Array(raw),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
}

async function sign(key: CryptoKey, message: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, new Uint8Array(message)));
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
