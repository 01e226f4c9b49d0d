import { assert, assertEquals } from "@std/assert";
import { firstWorld, type Step, steps, type World } from "./model.ts";

const BUDGET = { losses: 2, crashes: 2 };

interface Seen {
  readonly world: World;
  readonly by: string;
  readonly from: string | undefined;
}

/** Every world that can be reached, by its key. */
function explore(first: World): Map<string, Seen> {
  const key = (world: World) => JSON.stringify(world);
  const seen = new Map<string, Seen>([[key(first), {
    world: first,
    by: "start",
    from: undefined,
  }]]);
  const queue = [key(first)];
  for (let at = 0; at < queue.length; at++) {
    for (const { name, to } of steps(seen.get(queue[at]!)!.world)) {
      const next = key(to);
      if (seen.has(next)) continue;
      seen.set(next, { world: to, by: name, from: queue[at] });
      queue.push(next);
    }
  }
  return seen;
}

const reached = explore(firstWorld(BUDGET));

/** How a world came about, a step a line. */
function story(key: string): string {
  const lines: string[] = [];
  for (let at: string | undefined = key; at !== undefined; at = reached.get(at)!.from) {
    lines.unshift(reached.get(at)!.by);
  }
  return lines.join("\n");
}

function never(rule: string, broken: (world: World, next: readonly Step[]) => boolean) {
  Deno.test(`in every order of messages, losses and crashes: ${rule}`, () => {
    for (const [key, { world }] of reached) {
      if (broken(world, steps(world))) throw new Error(`${story(key)}\n${JSON.stringify(world)}`);
    }
  });
}

Deno.test("all of it was looked at", () => {
  console.log(
    `${reached.size} states explored (${BUDGET.losses} losses, ${BUDGET.crashes} crashes a side)`,
  );
  assert(reached.size > 10_000);
  const ends = new Set(
    [...reached.values()].map(({ world }) => `${world.source.qemu}/${world.destination.qemu}`),
  );
  assertEquals(
    [...ends].sort(),
    [
      "running/empty",
      "running/gone",
      "running/loaded",
      "stopped/empty",
      "stopped/gone",
      "stopped/loaded",
      "stopped/running",
    ],
    "every combination but the forbidden one comes about",
  );
});

never(
  "the two QEMUs never both run the guest (rule 1)",
  ({ source, destination }) => source.qemu === "running" && destination.qemu === "running",
);

never(
  "once the source runs the guest again, nothing can make the destination run it",
  (world, next) =>
    world.source.qemu === "running" && next.some((s) => s.to.destination.qemu === "running"),
);

never(
  "after finish was sent the source runs the guest only if the destination never will (rule 3)",
  ({ finishSent, source, destination }) =>
    finishSent && source.qemu === "running" &&
    !["failed", "dead", "recovered"].includes(destination.tool),
);

never(
  "a migration that ends before finish was sent leaves the guest running at the source (rule 2)",
  ({ finishSent, source }) =>
    !finishSent && source.tool === "recovered" && source.qemu !== "running",
);

never(
  "where nothing can happen any more, one guest runs, or the source says that it does not know",
  ({ source, destination }, next) =>
    next.length === 0 && source.qemu !== "running" && destination.qemu !== "running" &&
    source.tool !== "unknown" && source.tool !== "dead",
);

never(
  "nobody forgets a guest that stands loaded at the destination: somebody's cont would make it two",
  ({ destination }) => destination.journal === null && destination.qemu === "loaded",
);
