/**
 * `make fuzz SECONDS=60 SEED=1`: random and mutated input to everything that parses what a peer
 * sent, until the time is over; `FRAMES=10000000` instead goes on until so many frames were sent.
 * Fails on a crash, a hang, a wrong state, or memory that grew; prints the seed of the round, which
 * `make fuzz SEED=…` repeats.
 *
 * @module
 */
import { Dice } from "../tests/fuzz/dice.ts";
import { targets } from "../tests/fuzz/targets.ts";

const seconds = Number(Deno.args[0] || 60);
const frames = Number(Deno.args[2] || 0);
const first = Number(Deno.args[1] || Math.floor(Math.random() * 1e9));
/** How much more memory there may be than after the first rounds, MiB. */
const GROWTH_MIB = 64;
/** So many rounds it takes until everything was used once, and until the allocator has its share. */
const WARM_UP = 10;
const SETTLED = 100;

/** An amount of memory, MiB: at the start and at most. */
class Memory {
  #start: number | undefined;
  #most = 0;
  note(now: number): void {
    this.#start ??= now;
    this.#most = Math.max(this.#most, now);
  }
  get growth(): number {
    return this.#most - (this.#start ?? 0);
  }
  toString(): string {
    if (this.#start === undefined) return "not looked at";
    return `${this.#start.toFixed(0)} MiB at the start and ${this.#most.toFixed(0)} at most`;
  }
}

/** What is held is what is left after a garbage collection. */
const { gc } = globalThis as { gc?: () => void };
if (!gc) throw new Error("Run this with --v8-flags=--expose-gc, as `make fuzz` does");

const counts = new Map(Object.keys(targets).map((name) => [name, 0]));
const end = performance.now() + seconds * 1000;
const [held, process] = [new Memory(), new Memory()];
let round = 0;
let current = "";

addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  fail(event.reason);
});

const sent = () => [...counts.values()].reduce((sum, n) => sum + n, 0);
const more = () => frames > 0 ? sent() < frames : performance.now() < end || round === 0;

const until = frames > 0 ? `${frames} frames` : `${seconds} s`;
console.log(`fuzzing for ${until} from seed ${first}`);
for (; more(); round++) {
  for (const [name, target] of Object.entries(targets)) {
    const seed = first + round;
    current = `${name}, seed ${seed}`;
    try {
      counts.set(name, counts.get(name)! + await target(new Dice(seed)));
    } catch (error) {
      fail(error);
    }
  }
  await collect();
  const { rss, heapUsed, external } = Deno.memoryUsage();
  if (round < WARM_UP) continue;
  held.note((heapUsed + external) / 2 ** 20);
  if (round >= SETTLED) process.note(rss / 2 ** 20);
  if (held.growth > GROWTH_MIB || process.growth > GROWTH_MIB) {
    fail(new Error(`Memory grew: ${figures()}`));
  }
}
for (const [name, count] of counts) console.log(`  ${name.padEnd(24)} ${count}`);
console.log(`${sent()} frames, lines and dialogues in ${round} rounds, ${figures()}`);

/** Twice, with a turn in between: what the first one finds unused is given back by the second. */
async function collect(): Promise<void> {
  gc!();
  await new Promise((resolve) => setTimeout(resolve, 0));
  gc!();
}

function figures(): string {
  return `held ${held}, process ${process}`;
}

function fail(error: unknown): never {
  console.error(`FAILED in ${current}:`, error);
  Deno.exit(1);
}
