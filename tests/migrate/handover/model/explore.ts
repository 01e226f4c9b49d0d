/**
 * Looks at every world that can come about, and for the first one that breaks a rule.
 *
 * @module
 */
import { stepsOf } from "./luck.ts";
import { RULES } from "./rules.ts";
import { firstWorld, keyOf, normalized, type Program, type Step, type World } from "./world.ts";

/** A rule that was broken, and how it came to that. */
export interface Broken {
  readonly rule: string;
  /** The steps that led there, and the world. */
  readonly story: readonly string[];
}

export interface Explored {
  /** How many worlds there are; as far as was looked, where a rule is broken. */
  readonly worlds: number;
  /** The guest can arrive, with both sides knowing it. */
  readonly arrives: boolean;
  /** The first broken rule. */
  readonly broken: Broken | undefined;
}

interface Seen {
  readonly world: World;
  readonly by: string;
  readonly from: Seen | undefined;
}

/**
 * Breadth first, so that a story is as short as can be.
 *
 * @param badLuck how much of it there may be, see {@link firstWorld}.
 * @param look called with each world.
 */
export function explore(
  program: Program,
  badLuck: number,
  look: (world: World) => void = () => {},
): Explored {
  const steps = stepsOf(program);
  const first = { world: firstWorld(badLuck), by: "start", from: undefined };
  let arrives = false;
  const seen = new Set<string>([keyOf(first.world)]);
  let queue: Seen[] = [first];
  while (queue.length > 0) {
    const next: Seen[] = [];
    for (const at of queue) {
      const found: readonly Step[] = steps(at.world);
      for (const { rule, isBroken } of RULES) {
        if (isBroken(at.world, found)) {
          return { worlds: seen.size, arrives, broken: { rule, story: storyOf(at) } };
        }
      }
      look(at.world);
      const { source, destination } = at.world;
      arrives ||= source.state === "done" && destination.state === "finished" &&
        destination.qemu === "running";
      for (const { name, to: world } of found) {
        const to = normalized(world);
        const key = keyOf(to);
        if (seen.has(key)) continue;
        seen.add(key);
        next.push({ world: to, by: name, from: at });
      }
    }
    queue = next;
  }
  return { worlds: seen.size, arrives, broken: undefined };
}

function storyOf(end: Seen): string[] {
  const story: string[] = [JSON.stringify(end.world)];
  for (let at: Seen | undefined = end; at; at = at.from) story.unshift(at.by);
  return story;
}
