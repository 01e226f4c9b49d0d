import { assert, assertEquals, assertRejects } from "@std/assert";
import { BlockHashes, PAGE_BLOCKS, pageDigest, RootHash } from "../../../src/delta/mod.ts";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { digestOf, Simulation, type SimulationOptions } from "./simulation.ts";

const SEEDS = 60;

/** Blocks that count as proved and are not the same at both ends. */
function falselyProved({ proof, source, destination }: Simulation): number[] {
  const open = new Set<number>();
  for (let at = 0, piece; (piece = proof.take(at)); at = piece.behind) {
    piece.open.forEach((block) => open.add(block));
    proof.giveUp(piece);
  }
  return [...source.keys()].filter((block) =>
    !open.has(block) && source[block] !== destination[block]
  );
}

async function rootOf({ source, proof }: Simulation): Promise<string | null> {
  const root = new RootHash(proof.sizeBytes);
  for (let page = 0; page < root.pages; page++) {
    const hashes = new BlockHashes(root.blocksOf(page));
    for (let i = 0; i < hashes.blocks; i++) {
      const value = source[page * PAGE_BLOCKS + i]!;
      if (value !== 0) hashes.set(i, digestOf(value));
    }
    root.set(page, await pageDigest(hashes));
  }
  return await root.value();
}

async function runs(
  options: Omit<SimulationOptions, "seed">,
  check: (
    simulation: Simulation,
    differed: readonly number[],
    seed: number,
  ) => Promise<void> | void,
): Promise<void> {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const simulation = new Simulation({ seed, ...options });
    const { differed } = await simulation.run();
    await check(simulation, differed, seed);
  }
}

Deno.test("no difference is found where there is none, and all blocks are proved", async () => {
  await runs({}, async (simulation, differed, seed) => {
    const { proof } = simulation;
    assertEquals([differed, proof.open, falselyProved(simulation)], [[], 0, []], `seed ${seed}`);
    assertEquals(await proof.rootHash(), await rootOf(simulation), `seed ${seed}`);
  });
});

Deno.test("every flipped block and every lost write is found and repaired, and nothing else", async () => {
  let total = 0;
  await runs({ flips: 5, lost: 0.1 }, async (simulation, differed, seed) => {
    const { proof, wrong } = simulation;
    assertEquals([proof.open, falselyProved(simulation)], [0, []], `seed ${seed}`);
    assertEquals(differed.filter((block) => !wrong.has(block)), [], `seed ${seed}`);
    assertEquals(await proof.rootHash(), await rootOf(simulation), `seed ${seed}`);
    total += differed.length;
  });
  assert(total > SEEDS, `${total} differences`);
});

Deno.test("what the pause has no time for is not called proved", async () => {
  let open = 0;
  await runs({ flips: 5, lost: 0.1, pauseMs: 3 }, async (simulation, differed, seed) => {
    const { proof, wrong } = simulation;
    assertEquals(falselyProved(simulation), [], `seed ${seed}`);
    assertEquals(differed.filter((block) => !wrong.has(block)), [], `seed ${seed}`);
    if (proof.open > 0) assertEquals(await proof.rootHash(), null);
    open += proof.open;
  });
  assert(open > 0, "the pause had time for all");
});

Deno.test("a block that is wrong again after it was sent again fails the migration", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const simulation = new Simulation({ seed, stubborn: 300 });
    const error = await assertRejects(() => simulation.run(), MigrationError);
    assertEquals([error.code, error.side], ["disk-differs", "destination"]);
    assert(error.message.includes(`at ${300 << 16},`), error.message);
  }
});

Deno.test("the simulation finds blocks that are called proved when writes are not noted", async () => {
  const watch = () => ({ changed: () => {}, trimmed: () => {} });
  let found = 0;
  await runs({ lost: 0.1, watch }, (simulation) => {
    found += falselyProved(simulation).length;
  });
  assert(found > 0);
});
