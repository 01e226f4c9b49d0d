import type { BytePipe } from "../../src/io/mod.ts";

/** Bytes that look random and are the same for the same seed. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  const next = randomOf(seed);
  for (let i = 0; i < length; i++) bytes[i] = next() * 256;
  return bytes;
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Joins byte arrays. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Reads a pipe to its end. */
export async function readAll(pipe: BytePipe): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const into = new Uint8Array(65536);
  let n: number | null;
  while ((n = await pipe.read(into)) !== null) parts.push(into.slice(0, n));
  return concat(parts);
}
