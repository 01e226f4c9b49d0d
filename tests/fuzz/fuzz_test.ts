import { Dice } from "./dice.ts";
import { targets } from "./targets.ts";

// Add every seed that has found a bug. All frames of the last seed are legal.
const SEEDS = [1, 2, 3, 20261132];

for (const [name, target] of Object.entries(targets)) {
  for (const seed of SEEDS) {
    Deno.test(`fuzz: ${name}, seed ${seed}`, async () => {
      await target(new Dice(seed));
    });
  }
}
