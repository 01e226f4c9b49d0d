import { randomOf } from "../support/bytes.ts";

/** Random choices that are the same for the same seed. */
export class Dice {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = randomOf(seed);
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** A copy with bits flipped, bytes changed, left out, doubled, or cut short. */
  mutated(bytes: Uint8Array): Uint8Array {
    let copy = bytes.slice();
    for (let n = 1 + this.below(4); n > 0 && copy.length > 0; n--) {
      const at = this.below(copy.length);
      switch (this.below(5)) {
        case 0:
          copy[at]! ^= 1 << this.below(8);
          break;
        case 1:
          copy[at] = this.pick([0, 1, 0x7f, 0x80, 0xff]);
          break;
        case 2:
          copy = joined(copy.subarray(0, at), copy.subarray(at + 1));
          break;
        case 3:
          copy = joined(copy.subarray(0, at), this.bytes(this.below(20)), copy.subarray(at));
          break;
        default:
          copy = copy.slice(0, at);
      }
    }
    return copy;
  }
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
