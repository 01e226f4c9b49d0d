import type { RamProgress } from "../events.ts";

/** A pass over RAM. */
export interface Pass {
  /** Its number: 1 sends all RAM, 2 what the guest changed meanwhile. */
  readonly round: number;
  /** When it was first seen, ms. */
  readonly at: number;
  /** What it had to send, bytes. */
  readonly left: number;
  /** Bytes of RAM that had been sent when it was first seen. */
  readonly transferred: number;
}

/** Part of a pass that must have been sent before another one counts. */
const SENT = 0.75;
/** If no RAM crosses for so long, a connection is down, ms. */
const STOOD_MS = 2000;
/** Largest share of the shortest pass before it that a pass may have to send while they get shorter. */
const SHORTER = 0.9;

/**
 * Counts the passes over RAM that did not become shorter. A QEMU from 9.2 on that throttles the guest collects the
 * changed pages in the middle of a pass too (`dirty-sync-count` grows every 5 s); that is no new pass. Pure.
 */
export class Passes {
  #pass: Pass | undefined;
  #sent = 0;
  #before: RamProgress | undefined;
  #shortest = Infinity;
  #without = 0;
  #rate: number | undefined;
  #first: { readonly now: number; readonly ram: RamProgress } | undefined;
  #now = 0;
  #standsSince: number | undefined;

  /** How many passes in a row have had as much to send as the shortest one before them. */
  get withoutGain(): number {
    return this.#without;
  }

  /** The one that is being sent; `undefined` during the first. */
  get last(): Pass | undefined {
    return this.#pass;
  }

  /** How fast RAM crossed in the last whole pass, before that on the whole, bytes per second. */
  get rate(): number {
    const [first, last] = [this.#first, this.#before];
    if (this.#rate !== undefined || !first || !last || this.#now === first.now) {
      return this.#rate ?? 0;
    }
    return (last.transferred - first.ram.transferred) * 1000 / (this.#now - first.now);
  }

  /**
   * Takes a sample.
   *
   * @param now ms.
   * @returns whether a pass has begun.
   */
  look(now: number, ram: RamProgress): boolean {
    this.#watchStanding(now, ram);
    const before = this.#before;
    this.#before = ram;
    this.#first ??= { now, ram };
    this.#now = now;
    // The first pass sends all RAM, however much the guest changes.
    if (ram.iteration < 2) return false;
    if (before?.iteration === ram.iteration) {
      this.#sent += Math.max(0, before.remaining - ram.remaining);
      return false;
    }
    const pass = this.#pass;
    const sent = pass && Math.max(this.#sent, ram.transferred - pass.transferred);
    if (pass && sent! < SENT * pass.left) return false;
    // What was sent of it since it began, between the last sample and this one.
    const since = before ? ram.transferred - before.transferred - before.remaining : 0;
    this.#begin(now, ram, ram.remaining + Math.max(0, since));
    return true;
  }

  /** The guest is slower from now on: only passes after this one are compared. */
  restart(): void {
    this.#without = 0;
    this.#shortest = Infinity;
  }

  /** Forgets the passes after a time without RAM: one took longer for it, and the next has more to send. */
  #watchStanding(now: number, ram: RamProgress): void {
    if (ram.transferred === this.#before?.transferred) {
      this.#standsSince ??= now;
      return;
    }
    const stood = now - (this.#standsSince ?? now);
    this.#standsSince = undefined;
    if (stood < STOOD_MS) return;
    this.restart();
    this.#pass = this.#first = undefined;
    this.#sent = 0;
  }

  #begin(now: number, { iteration, transferred }: RamProgress, left: number): void {
    const pass = this.#pass;
    if (pass && now > pass.at) {
      this.#rate = (transferred - pass.transferred) * 1000 / (now - pass.at);
    }
    if (left < SHORTER * this.#shortest) {
      this.#without = 0;
      this.#shortest = left;
    } else this.#without++;
    this.#sent = 0;
    this.#pass = { round: iteration, at: now, left, transferred };
  }
}
