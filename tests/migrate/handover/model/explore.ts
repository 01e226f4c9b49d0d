/**
 * Looks at every world that can come about, and for the first one that breaks a rule.
 *
 * @module
 */
import { stepsOf } from "./luck.ts";
import { HOPE, RULES } from "./rules.ts";
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
 * @param luck how much bad luck there may be, and whether QEMU may go on by post-copy, see {@link firstWorld}.
 * @param look called with each world.
 */
export function explore(
  program: Program,
  luck: { readonly badLuck: number; readonly postcopy: boolean },
  look: (world: World) => void = () => {},
): Explored {
  const steps = stepsOf(program);
  const first = { world: firstWorld(luck.badLuck, luck.postcopy), by: "start", from: undefined };
  let arrives = false;
  const seen = new Map<string, number>([[keyOf(first.world), 0]]);
  const hopes = new Hopes();
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
      const here = seen.get(keyOf(at.world))!;
      hopes.look(here, at);
      const { source, destination } = at.world;
      arrives ||= source.state === "done" && destination.state === "finished" &&
        destination.qemu === "running" && destination.whole;
      for (const { name, to: world } of found) {
        const to = normalized(world);
        const key = keyOf(to);
        const known = seen.get(key);
        hopes.leads(here, known ?? seen.size);
        if (known !== undefined) continue;
        seen.set(key, seen.size);
        next.push({ world: to, by: name, from: at });
      }
    }
    queue = next;
  }
  const hopeless = hopes.firstHopeless();
  const broken = hopeless && { rule: HOPE.rule, story: storyOf(hopeless) };
  return { worlds: seen.size, arrives, broken };
}

/** Looks for a world from which the end that its rule asks for can't be reached any more. */
class Hopes {
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  readonly #good: number[] = [];
  readonly #needs = new Map<number, Seen>();

  look(here: number, at: Seen): void {
    if (HOPE.isReached(at.world)) this.#good.push(here);
    else if (HOPE.applies(at.world)) this.#needs.set(here, at);
  }

  leads(from: number, to: number): void {
    this.#from.push(from);
    this.#to.push(to);
  }

  /** The one that comes about first. */
  firstHopeless(): Seen | undefined {
    const before = Map.groupBy(this.#from.keys(), (i) => this.#to[i]!);
    const reached = new Set(this.#good);
    for (const world of reached) {
      for (const i of before.get(world) ?? []) reached.add(this.#from[i]!);
    }
    for (const [world, at] of this.#needs) {
      if (!reached.has(world)) return at;
    }
    return undefined;
  }
}

function storyOf(end: Seen): string[] {
  const story: string[] = [JSON.stringify(end.world)];
  for (let at: Seen | undefined = end; at; at = at.from) story.unshift(at.by);
  return story;
}
