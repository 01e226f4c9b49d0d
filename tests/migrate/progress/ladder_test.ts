import { assertEquals } from "@std/assert";
import type { RamProgress } from "../../../src/migrate/events.ts";
import {
  Ladder,
  type LadderChoices,
  throttleAfter,
  throttleFor,
} from "../../../src/migrate/progress/ladder.ts";

const MiB = 1024 * 1024;
const ALL: LadderChoices = { autoConverge: "ladder", maxThrottle: 99, postcopy: true };
/** How fast RAM crosses, MiB per second. */
const RATE = 100;

/** A guest whose RAM crosses: what each pass has to send, MiB, is what the guest changed in the one before. */
class Crossing {
  readonly ladder: Ladder;
  /** Each move with the pass that had just begun. */
  readonly moves: string[] = [];
  throttlePercent = 0;
  #now = 0;
  #transferred = 0;
  #iteration = 1;

  constructor(choices: Partial<LadderChoices> = {}) {
    this.ladder = new Ladder({ ...ALL, ...choices });
  }

  /** Sends passes of this many MiB each, two samples a second. */
  pass(...sizes: readonly number[]): this {
    for (const size of sizes) {
      let left = size;
      while (left > 0) {
        this.#sample(left);
        const sent = Math.min(left, RATE / 2);
        left -= sent;
        this.#transferred += sent;
        this.#now += sent * 1000 / RATE;
      }
      this.#iteration++;
    }
    return this;
  }

  /** Nothing crosses for so long, ms: a connection is down. */
  stand(left: number, ms: number): this {
    for (const end = this.#now + ms; this.#now < end; this.#now += 500) this.#sample(left);
    return this;
  }

  /** QEMU collects the changed pages in the middle of a pass. */
  sync(left: number): this {
    this.#iteration++;
    this.#sample(left);
    return this;
  }

  #sample(left: number): void {
    const ram: RamProgress = {
      ...{ transferred: this.#transferred * MiB, remaining: left * MiB, total: 512 * MiB },
      ...{ dirtyRate: 0, iteration: this.#iteration, throttlePercent: this.throttlePercent },
    };
    const move = this.ladder.look({ now: this.#now, ram, maxDowntimeMs: 300 });
    if (!move) return;
    const { passes, rate, left: had } = move.cause;
    this.moves.push(`${this.#iteration}: ${move.step} ${passes} ${had / MiB} ${rate / MiB}`);
  }
}

Deno.test("a pass in which nothing crossed for a while does not count", () => {
  // The guest changes more during a long pass: the next one is larger.
  const stood = new Crossing().pass(512, 100).stand(50, 20_000).pass(50, 200, 40, 5);
  assertEquals(stood.moves, []);
  const brief = new Crossing().pass(512, 100).stand(50, 1000).pass(50, 200);
  assertEquals(brief.moves.length, 1);
  // A guest that does not converge after it either is throttled all the same.
  const never = new Crossing().pass(512, 100).stand(50, 20_000).pass(50, 200, 200);
  assertEquals(never.moves.length, 1);
});

Deno.test("a throttle is considered once a pass over RAM has as much to send as the shortest one before", () => {
  const crossing = new Crossing().pass(512, 384);
  assertEquals(crossing.moves, [], "the second pass is the first that can be compared");
  // From the end of the second pass on QEMU throttles the guest by one percent.
  crossing.throttlePercent = 1;
  const moves = ["3: auto-converge 1 384 100", "4: auto-converge 2 384 100"];
  assertEquals(
    crossing.pass(384, 384).moves,
    moves,
    "again, for a guest that was only briefly busy",
  );
});

Deno.test("a guest whose passes become shorter is left alone, however slowly", () => {
  const sizes = Array.from({ length: 20 }, (_, i) => 400 * 0.89 ** i);
  assertEquals(new Crossing().pass(512, ...sizes).moves, []);
});

Deno.test("one pass without gain among shorter ones causes no further step", () => {
  const throttled = new Crossing({ autoConverge: "never" });
  assertEquals(throttled.pass(512, 400, 390, 300, 290, 200, 190, 100, 95).moves, []);
});

Deno.test("a pass that fits into the longest downtime causes nothing: the downtime limit grows", () => {
  assertEquals(new Crossing().pass(512, 30, 30, 30, 30, 30).moves, []);
  assertEquals(new Crossing().pass(512, 31, 31).moves, ["3: auto-converge 1 31 100"]);
});

Deno.test("the guest is throttled more only once QEMU has set the last throttle and that was too little", () => {
  const crossing = new Crossing().pass(512, 384, 384, 384);
  crossing.ladder.throttleAsked(60);
  crossing.moves.length = 0;
  assertEquals(crossing.pass(384, 384, 384, 384).moves, [], "QEMU has not set it");
  crossing.throttlePercent = 60;
  // The first pass under the throttle sends what the guest changed before.
  assertEquals(crossing.pass(384, 384).moves, []);
  assertEquals(crossing.pass(384).moves, ["11: throttle-more 2 384 100"]);
});

Deno.test("post-copy follows the largest throttle, and nothing follows post-copy", () => {
  const crossing = new Crossing();
  crossing.ladder.throttleAsked(99);
  crossing.throttlePercent = 99;
  const passes = crossing.pass(512, 384, 384, 384, 384).moves;
  assertEquals(passes, ["4: postcopy 2 384 100", "5: none 3 384 100"]);
});

Deno.test("a step that is forbidden is left out", () => {
  const never = new Crossing({ autoConverge: "never" }).pass(512, 384, 384, 384);
  assertEquals(never.moves, ["4: postcopy 2 384 100"]);
  const neither = new Crossing({ autoConverge: "never", postcopy: false }).pass(512, 384, 384, 384);
  assertEquals(neither.moves, ["4: none 2 384 100"]);
  const unfelt = new Crossing({ maxThrottle: 1, postcopy: false }).pass(512, 384, 384, 384);
  assertEquals(unfelt.moves, ["4: none 2 384 100"], "--throttle-max 1");
});

Deno.test("a step that is forbidden while RAM crosses is left out from then on", () => {
  const crossing = new Crossing().pass(512, 384);
  crossing.ladder.choose({ autoConverge: "never", postcopy: false });
  crossing.pass(384);
  assertEquals(crossing.pass(384).moves, ["4: none 2 384 100"]);
});

Deno.test("QEMU raises the throttle of a guest that is throttled from the start by itself", () => {
  const crossing = new Crossing({ autoConverge: "start" });
  crossing.throttlePercent = 40;
  assertEquals(crossing.pass(512, 384, 384, 384, 384).moves, []);
  crossing.throttlePercent = 99;
  assertEquals(crossing.pass(384, 384, 384).moves, ["8: postcopy 2 384 100"]);
});

Deno.test("changed pages that QEMU collects in the middle of a pass begin no pass", () => {
  const crossing = new Crossing({ autoConverge: "never", postcopy: false }).pass(512, 384);
  crossing.sync(384).sync(384).sync(384).sync(384);
  assertEquals(crossing.moves, []);
});

Deno.test("a throttled guest changes a quarter of what crosses", () => {
  assertEquals(throttleFor(300, 100, 99), 92);
  assertEquals(throttleFor(110, 100, 99), 78);
  assertEquals(throttleFor(30, 100, 99), 20, "never less than QEMU begins with");
  assertEquals(throttleFor(1e6, 100, 90), 90);
  assertEquals(throttleFor(0, 100, 99), 20, "QEMU said nothing about the guest");
  assertEquals(throttleFor(300, 0, 99), 20, "RAM has just begun to cross");
});

Deno.test("each further throttle halves the CPU time that is left", () => {
  const throttles = [80];
  while (throttles.length < 7) throttles.push(throttleAfter(throttles.at(-1)!, 99));
  assertEquals(throttles, [80, 90, 95, 98, 99, 99, 99]);
});
