/**
 * Both sides of a migration with their QEMUs, their journals and what is on the way between them,
 * small enough to look at every order in which things can happen. What the tools do comes from the
 * program's own lists of actions; what is modelled here is what each action does to the world, and what
 * QEMU, the connection and bad luck do by themselves.
 *
 * @module
 */
import type { Lists } from "../../../../src/migrate/handover/action.ts";
import {
  DESTINATION_LISTS,
  type DestinationAction,
} from "../../../../src/migrate/handover/destination_step.ts";
import { SOURCE_LISTS, type SourceAction } from "../../../../src/migrate/handover/source_step.ts";
import type {
  DestinationEvent,
  DestinationState,
  SourceEvent,
  SourceState,
} from "../../../../src/migrate/handover/states.ts";
import {
  RECOVER_LISTS,
  type RecoverAction,
  type Verdict,
} from "../../../../src/migrate/handover/verdict.ts";

/** The lists that are interpreted: the program's, or those of a test that has changed them. */
export interface Program {
  readonly source: Lists<SourceState, SourceEvent, SourceAction>;
  readonly destination: Lists<DestinationState, DestinationEvent, DestinationAction>;
  readonly recover: Readonly<Record<Verdict, readonly RecoverAction[]>>;
}

export const SHIPPED: Program = {
  source: SOURCE_LISTS,
  destination: DESTINATION_LISTS,
  recover: RECOVER_LISTS,
};

export type ToDestination = "stream" | "load" | "finish" | "status" | "attach";
export type ToSource =
  | "stream ok"
  | "load ok"
  | "finish ok"
  | "finish ok, RAM is left"
  | "denied"
  | "lost"
  | "attached"
  | `is ${DestinationState}`;

/** A tool: it runs, was killed (or ended and left its journal), recovers, or has ended for good. */
export type Tool = "up" | "dead" | "recovering" | "over";

/** What both sides have. Plain data, so that a world has a key. */
interface Side<S extends string> {
  readonly tool: Tool;
  readonly state: S;
  /** The list that is carried out, such as `switchover.crossed`; empty: none. */
  readonly list: string;
  /** Which of its actions has begun and has not ended. */
  readonly at: number;
  /** What was written down; `null` once the journal was removed. */
  readonly journal: S | null;
  /** A write that was begun and that nobody waits for (yet). */
  readonly writing: S | null;
}

export interface Source extends Side<SourceState> {
  readonly qemu: "running" | "stopped" | "gone" | "quit";
  /**
   * `pre`: stopped before the switchover; `device`: the disks are given away. In post-copy: `sending`: the
   * device state is on its way, `cut`: it was when the stream broke; `postcopy`: RAM crosses, `paused`: its
   * stream broke.
   */
  readonly migration:
    | ("none" | "active" | "pre" | "device" | "completed" | "failed")
    | ("sending" | "cut" | "postcopy" | "paused");
  readonly mirrors: "ready" | "ending" | "ended" | "broken";
  readonly loadAnswered: boolean;
  /** Its session is the one that the destination takes `load` and `finish` from. */
  readonly attached: boolean;
}

export interface Destination extends Side<DestinationState> {
  /** `filled`: it has the last byte and will have loaded the guest, whatever the tools do. */
  readonly qemu: "empty" | "incoming" | "filled" | "loaded" | "running" | "gone" | "quit";
  /** It has all of the guest's RAM. */
  readonly whole: boolean;
  /** It was given `cont` and has not done it yet. */
  readonly contDue: boolean;
  /** Written down: QEMU was given its one incoming migration. */
  readonly incomingStarted: boolean;
  /** A source is attached. */
  readonly owned: boolean;
}

export interface World {
  readonly source: Source;
  readonly destination: Destination;
  /**
   * Messages on the way, in no order; one that is sent again is the same one. One that is never heard is
   * one that was lost: there may be any number of these.
   */
  readonly toDestination: readonly ToDestination[];
  /** The answer on the way: the source asks one question at a time and hears no older answer. */
  readonly toSource: ToSource | "";
  /** How much bad luck there still may be. */
  readonly badLuck: number;
  /** `finish` has left the source at least once. */
  readonly finishSent: boolean;
  /** The destination's QEMU has run the guest. */
  readonly ranThere: boolean;
  /** A QEMU that had the guest ended by itself. */
  readonly guestEnded: boolean;
  /** What was done that must never be done; empty: nothing. */
  readonly broken: string;
  /** The source's QEMU may go on by post-copy. */
  readonly postcopy: boolean;
}

/**
 * @param badLuck how often in all a tool or a `recover` is killed, a session ends while both tools live, a
 * write to a journal fails, a QEMU ends.
 * @param postcopy whether the source's QEMU may go on by post-copy.
 */
export function firstWorld(badLuck: number, postcopy: boolean): World {
  const side = { tool: "up", list: "", at: 0, writing: null } as const;
  return {
    source: {
      ...side,
      ...{ state: "mirror", journal: "mirror", qemu: "running", migration: "none" },
      ...{ mirrors: "ready", loadAnswered: false, attached: true },
    },
    destination: {
      ...side,
      ...{ state: "prepared", journal: "prepared", qemu: "empty" },
      ...{ whole: false, contDue: false, incomingStarted: false, owned: true },
    },
    ...{ toDestination: [], toSource: "" },
    ...{ badLuck, postcopy },
    ...{ finishSent: false, ranThere: false, guestEnded: false, broken: "" },
  };
}

/** A step and where it leads. */
export interface Step {
  readonly name: string;
  readonly to: World;
}

export function withMessage<T extends string>(messages: readonly T[], message: T): readonly T[] {
  return messages.includes(message) ? messages : [...messages, message].sort();
}

export function without<T>(messages: readonly T[], message: T): readonly T[] {
  return messages.filter((m) => m !== message);
}

/** The world with something changed at the source. */
export function atSource(world: World, change: Partial<Source>, more: Partial<World> = {}): World {
  return { ...world, ...more, source: { ...world.source, ...change } };
}

/** The world with something changed at the destination. */
export function atDestination(
  world: World,
  change: Partial<Destination>,
  more: Partial<World> = {},
): World {
  return { ...world, ...more, destination: { ...world.destination, ...change } };
}

/** The same world without what can't make a difference any more. */
export function normalized(world: World): World {
  let { source, destination, toDestination, toSource } = world;
  if (source.tool !== "up") {
    source = { ...source, state: source.journal ?? "done", loadAnswered: false, attached: false };
    toSource = "";
    if (source.tool === "over") {
      const isOver = ["completed", "failed"].includes(source.migration);
      source = { ...source, mirrors: "ended", migration: isOver ? "none" : source.migration };
    }
  } else if (["done", "undone", "unknown"].includes(source.state)) toSource = "";
  if (destination.tool !== "up") {
    destination = { ...destination, state: destination.journal ?? "failed", owned: false };
    toDestination = [];
    if (destination.tool === "over") {
      destination = { ...destination, incomingStarted: false };
    }
  } else if (destination.state !== "prepared") {
    toDestination = toDestination.filter((m) => m !== "stream" && m !== "load");
  }
  return { ...world, source, destination, toDestination, toSource };
}

const letters = new Map<unknown, string>();

/** A letter for each value that there is. */
function letter(value: unknown): string {
  let found = letters.get(value);
  if (found === undefined) letters.set(value, found = String.fromCharCode(33 + letters.size));
  return found;
}

/** Names a world; equal worlds have equal keys. */
export function keyOf(world: World): string {
  const { source: s, destination: d, toDestination } = world;
  let key = sideKey(s) + letter(s.qemu) + letter(s.migration) + letter(s.mirrors) +
    letter(s.loadAnswered) + letter(s.attached) + sideKey(d) + letter(d.qemu) +
    letter(d.whole) + letter(d.contDue) + letter(d.incomingStarted) + letter(d.owned) +
    letter(world.toSource) +
    letter(world.badLuck) + letter(world.finishSent) +
    letter(world.ranThere) + letter(world.guestEnded) + letter(world.broken);
  for (const message of toDestination) key += letter(message);
  return key;
}

function sideKey({ tool, state, list, at, journal, writing }: Source | Destination): string {
  return letter(tool) + letter(state) + letter(list) + letter(at) + letter(journal) +
    letter(writing);
}

/** The actions of a list by its name. */
export function actionsOf<A extends string>(
  lists: Readonly<Record<string, Readonly<Partial<Record<string, readonly A[]>>>>>,
  name: string,
): readonly A[] {
  const [state, event] = name.split(".") as [string, string];
  return lists[state]?.[event] ?? [];
}
