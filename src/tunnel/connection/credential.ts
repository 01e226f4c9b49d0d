/**
 * Credentials: what shows that an end knows the secret (docs/tunnel-protocol.md, section 4). The
 * secret and the keys never go over the wire. All are HMAC-SHA-256 (RFC 2104); the transcript is a
 * SHA-256 over both prefaces and HELLOs, so a credential fits one connection and one direction only.
 *
 * @module
 */
import { concat } from "@std/bytes/concat";
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";

const text = new TextEncoder();

/** The key made of the secret (`K`); without a secret, a key that is public. */
export async function secretKey(secret: Uint8Array | undefined): Promise<CryptoKey> {
  const raw = await importKey(secret ?? new Uint8Array(1));
  return importKey(await sign(raw, text.encode("vmferry tunnel 1 secret")));
}

/**
 * Hash of everything both ends sent before their credentials, and of the binding to the transport
 * (`T`).
 */
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

/** The credential of each end at the start of a session: 32 bytes. */
export function authCredential(
  key: CryptoKey,
  role: "connecting" | "listening",
  hash: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  return sign(key, concat([text.encode(`vmferry tunnel 1 ${role}`), hash]));
}

/** The key for the credentials of later connections of this session (`S`). */
export async function sessionKey(key: CryptoKey, hash: Uint8Array): Promise<CryptoKey> {
  return importKey(await sign(key, concat([text.encode("vmferry tunnel 1 session"), hash])));
}

/**
 * The key that a further lane of a session shows in place of the secret's. Only the two ends of the
 * session can make it: the session's key has the secret and the nonces of both HELLOs in it.
 *
 * @param lane number of the lane, from 1.
 */
export async function laneKey(
  session: { readonly key: CryptoKey },
  lane: number,
): Promise<CryptoKey> {
  const label = text.encode("vmferry tunnel 1 lane");
  return importKey(await sign(session.key, concat([label, Uint8Array.of(lane)])));
}

/**
 * The secret that replaces a single-use one: 32 bytes that only the two ends of the session know, so
 * that the source can open further sessions (docs/tunnel-protocol.md, section 4).
 */
export function successorSecret(session: { readonly key: CryptoKey }): Promise<Uint8Array> {
  return sign(session.key, text.encode("vmferry tunnel 1 successor"));
}

/**
 * The credential of each end when a session goes on over a new connection: 32 bytes.
 *
 * @param numbers the payload of RESUME or RESUMED in front of the credential.
 */
export function resumeCredential(
  key: CryptoKey,
  role: "connecting" | "listening",
  hash: Uint8Array,
  numbers: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  return sign(key, concat([text.encode(`vmferry tunnel 1 resume ${role}`), hash, numbers]));
}

/** Compares two credentials in a time that does not depend on where they differ. */
export function sameCredential(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
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
