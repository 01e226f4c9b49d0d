/**
 * Both sides of a migration with their QEMUs, their journals and what is on the way between them,
 * small enough to look at every order in which things can happen. The tables and verdicts are the
 * program's own; what is modelled here is what happens around them.
 *
 * @module
 */
import {
  DESTINATION,
  type DestinationState,
} from "../../../src/migrate/handover/destination_states.ts";
import {
  resumedAt,
  SOURCE,
  type SourceState,
  wordOf,
} from "../../../src/migrate/handover/source_states.ts";
import { destinationVerdict, sourceVerdict } from "../../../src/migrate/handover/verdict.ts";

/** `finish` is what makes a destination run the guest. */
type ToDestination = "load" | "finish" | "status";
type ToSource = "load ok" | "finish ok" | "denied" | `is ${DestinationState}`;

/** Everything that can differ; plain data, so that a state has a key. */
export interface World {
  readonly source: {
    readonly tool: SourceState | "dead" | "recovered";
    /** What was written down; `null` once the journal was removed. */
    readonly journal: SourceState | null;
    readonly qemu: "running" | "stopped";
    /** `migrate` has completed: QEMU will not let the guest go on by itself. */
    readonly completed: boolean;
    readonly loadAnswered: boolean;
  };
  readonly destination: {
    readonly tool: DestinationState | "dead" | "recovered";
    readonly journal: DestinationState | null;
    readonly qemu: "empty" | "loaded" | "running" | "gone";
    /** It was told `cont` and has not done it yet. */
    readonly contDue: boolean;
  };
  /** Messages on the way, in no order; one that is sent again is the same one. */
  readonly toDestination: readonly ToDestination[];
  readonly toSource: readonly ToSource[];
  /** What bad luck there still may be. */
  readonly losses: number;
  readonly sourceCrashes: number;
  readonly destinationCrashes: number;
  /** `finish` has left the source at least once. */
  readonly finishSent: boolean;
}

export interface Budget {
  readonly losses: number;
  readonly crashes: number;
}

export function firstWorld({ losses, crashes }: Budget): World {
  return {
    source: {
      tool: "prepare",
      journal: "prepare",
      qemu: "running",
      completed: false,
      loadAnswered: false,
    },
    destination: { tool: "waiting", journal: "waiting", qemu: "empty", contDue: false },
    toDestination: [],
    toSource: [],
    losses,
    sourceCrashes: crashes,
    destinationCrashes: crashes,
    finishSent: false,
  };
}

/** A step and where it leads. */
export interface Step {
  readonly name: string;
  readonly to: World;
}

/** Everything that can happen next. */
export function steps(world: World): Step[] {
  return [...sourceSteps(world), ...destinationSteps(world), ...badLuck(world)];
}

function sourceSteps(world: World): Step[] {
  const { source } = world;
  const found: Step[] = [];
  const add = (name: string, change: Partial<World["source"]>, more: Partial<World> = {}) =>
    found.push({
      name: `source: ${name}`,
      to: { ...world, ...more, source: { ...source, ...change } },
    });
  const send = (message: ToDestination) => ({
    toDestination: withMessage(world.toDestination, message),
  });
  const fail = (state: SourceState) => {
    const next = SOURCE[state].fault!;
    if (next !== state) add("fault", { tool: next, journal: next });
  };

  if (source.tool !== "dead" && source.tool !== "recovered") fail(source.tool);
  switch (source.tool) {
    case "prepare":
      if (world.destination.tool === "prepared") {
        add("prepared", { tool: SOURCE.prepare.prepared!, journal: "mirror" });
      }
      break;
    case "mirror":
      add("ready", { tool: SOURCE.mirror.ready!, journal: "ram" });
      break;
    case "ram":
      add(
        "stopped",
        { tool: SOURCE.ram.stopped!, journal: "switchover", qemu: "stopped" },
        send("load"),
      );
      break;
    case "switchover":
      if (source.completed && source.loadAnswered && source.journal === "switchover") {
        // Written down before it may be sent.
        add("writes handover", { journal: "handover" });
      }
      if (source.journal === "handover") add("crossed", { tool: SOURCE.switchover.crossed! });
      break;
    case "handover":
      add("sends finish", {}, { ...send("finish"), finishSent: true });
      add("sends status", {}, send("status"));
      add("silence", { tool: SOURCE.handover.silence!, journal: "unknown" });
      break;
    case "undone":
      if (source.qemu === "stopped") add("cont", { qemu: "running" });
      else add("ends", { tool: "recovered", journal: null });
      // Also where the guest could not be let run: whoever comes next finds that in the journal.
      add("ends, not all undone", { tool: "dead", journal: "undone" });
      break;
    case "done":
      add("ends", { tool: "recovered", journal: null });
      add("ends, not all undone", { tool: "dead", journal: "done" });
      break;
    case "unknown":
    case "recovered":
      break;
    case "dead":
      if (source.journal !== null) {
        for (const destination of wordsOf(world)) {
          const verdict = sourceVerdict({ journal: source.journal, destination, force: false });
          const name = `recovers (${destination ?? "unasked"}): ${verdict}`;
          if (verdict === "run-here") {
            add(name, { qemu: "running", tool: "recovered", journal: null });
          }
          if (verdict === "leave") add(name, { tool: "recovered", journal: null });
        }
        add("resumes", { tool: resumedAt(source.journal) });
      }
      break;
  }
  for (const message of world.toSource) {
    const toSource = world.toSource.filter((m) => m !== message);
    const heard = (change: Partial<World["source"]>, more: Partial<World> = {}) =>
      add(`hears ${message}`, change, { toSource, ...more });
    if (source.tool === "switchover" && message === "load ok") heard({ loadAnswered: true });
    else if (source.tool === "handover" && message === "finish ok") {
      heard({ tool: SOURCE.handover.answered!, journal: "done" });
    } else if (source.tool === "handover" && message === "denied") {
      heard({ tool: SOURCE.handover.denied!, journal: "undone" });
    } else if (source.tool === "handover" && message.startsWith("is ")) {
      const word = wordOf(message.slice(3) as DestinationState);
      if (word === "finish-again") {
        heard({}, {
          toDestination: withMessage(world.toDestination, "finish"),
          finishSent: true,
        });
      } else if (word !== "ask-again") {
        const tool = SOURCE.handover[word]!;
        heard({ tool, journal: tool });
      } else heard({});
    } else heard({});
  }
  // QEMU by itself: the memory's last bytes cross, or do not and the guest goes on.
  const migrating = !source.completed && source.qemu === "stopped";
  // A tool that was killed may have passed on the last bytes before.
  const there = world.destination.qemu === "empty" &&
    ["prepared", "loading", "dead"].includes(world.destination.tool);
  const cancelled = ["undone", "recovered"].includes(source.tool);
  if (migrating && there && !cancelled) {
    found.push({
      name: "QEMUs: completed",
      to: {
        ...world,
        source: { ...source, completed: true },
        destination: { ...world.destination, qemu: "loaded" },
      },
    });
    add("QEMU's migration fails", { qemu: "running" });
  }
  return found;
}

/** What a `recover` may hear that asks the destination, if it asks and is answered. */
function wordsOf(world: World): (DestinationState | undefined)[] {
  const { tool } = world.destination;
  return tool === "dead" || tool === "recovered" ? [undefined] : [undefined, tool];
}

function destinationSteps(world: World): Step[] {
  const { destination } = world;
  const found: Step[] = [];
  const add = (name: string, change: Partial<World["destination"]>, more: Partial<World> = {}) =>
    found.push({
      name: `destination: ${name}`,
      to: { ...world, ...more, destination: { ...destination, ...change } },
    });
  const answer = (message: ToSource) => ({ toSource: withMessage(world.toSource, message) });
  const fail = (state: DestinationState) => {
    const next = DESTINATION[state].fault!;
    if (next !== state) add("fault", { tool: next, journal: next });
  };

  const { tool } = destination;
  if (tool !== "dead" && tool !== "recovered") fail(tool);
  switch (tool) {
    case "waiting":
      add("exports", { tool: DESTINATION.waiting.exported!, journal: "prepared" });
      break;
    case "loading":
      if (destination.qemu === "loaded") {
        add(
          "completed",
          { tool: DESTINATION.loading.completed!, journal: "loaded" },
          answer("load ok"),
        );
      }
      break;
    case "starting":
      if (destination.contDue) {
        add("cont", { qemu: "running", contDue: false });
        add("QEMU refuses", {
          contDue: false,
          tool: DESTINATION.starting.refused!,
          journal: "failed",
        });
        add("QEMU ends", { qemu: "gone", contDue: false, tool: DESTINATION.starting.gone! });
        // It was not seen to run in time, and may all the same.
        add("QEMU is silent", { tool: DESTINATION.starting.gone!, journal: "lost" });
      } else if (destination.qemu === "running") {
        add("runs", { tool: DESTINATION.starting.runs!, journal: "finished" }, answer("finish ok"));
      }
      break;
    case "failed":
      if (destination.qemu === "loaded") add("discards", { qemu: "gone" });
      add("ends, not all undone", { tool: "dead", journal: "failed" });
      break;
    case "lost":
      if (destination.contDue) add("cont, late", { qemu: "running", contDue: false });
      break;
    case "finished":
      add("ends, not all undone", { tool: "dead", journal: "finished" });
      break;
    case "prepared":
    case "loaded":
    case "recovered":
      break;
    case "dead":
      if (destination.journal !== null) {
        const verdict = destinationVerdict({
          journal: destination.journal,
          runs: destination.qemu === "running",
          complete: destination.qemu === "loaded",
          force: false,
        });
        if (verdict !== "ask") {
          const qemu = verdict === "discard" ? "gone" : destination.qemu;
          add(`recovers: ${verdict}`, { qemu, tool: "recovered", journal: null });
        }
        const journal = destination.journal === "loading" ? "failed" : destination.journal;
        const contDue = journal === "starting" && destination.qemu === "loaded";
        add("resumes", { tool: journal, journal, contDue });
      }
      break;
  }
  if (tool === "dead" || tool === "recovered") return found;
  for (const message of world.toDestination) {
    const toDestination = world.toDestination.filter((m) => m !== message);
    const heard = (change: Partial<World["destination"]>, reply?: ToSource) =>
      add(`hears ${message}`, change, { toDestination, ...(reply ? answer(reply) : {}) });
    if (message === "status") heard({}, `is ${tool}`);
    else if (message === "load") {
      if (tool === "prepared") heard({ tool: DESTINATION.prepared.load!, journal: "loading" });
      else heard({});
    } else if (tool === "loaded") {
      // Written down before QEMU is told.
      heard({ tool: DESTINATION.loaded.finish!, journal: "starting", contDue: true });
    } else if (tool === "finished") heard({}, "finish ok");
    else if (tool === "failed") heard({}, "denied");
    else heard({});
  }
  return found;
}

function badLuck(world: World): Step[] {
  const found: Step[] = [];
  const { source, destination } = world;
  if (world.losses > 0) {
    const losses = world.losses - 1;
    for (const m of world.toDestination) {
      const toDestination = world.toDestination.filter((x) => x !== m);
      found.push({ name: `lost: ${m}`, to: { ...world, losses, toDestination } });
    }
    for (const m of world.toSource) {
      const toSource = world.toSource.filter((x) => x !== m);
      found.push({ name: `lost: ${m}`, to: { ...world, losses, toSource } });
    }
  }
  if (world.sourceCrashes > 0 && !["dead", "recovered"].includes(source.tool)) {
    found.push({
      name: "source: killed",
      to: {
        ...world,
        source: { ...source, tool: "dead", loadAnswered: false },
        sourceCrashes: world.sourceCrashes - 1,
        // What was on its way to a process ends with it; what it sent may still arrive.
        toSource: [],
      },
    });
  }
  if (world.destinationCrashes > 0 && !["dead", "recovered"].includes(destination.tool)) {
    const killed = (name: string, contDone: boolean) =>
      found.push({
        name,
        to: {
          ...world,
          destination: {
            ...destination,
            tool: "dead",
            contDue: false,
            qemu: contDone ? "running" : destination.qemu,
          },
          destinationCrashes: world.destinationCrashes - 1,
          toDestination: [],
        },
      });
    killed("destination: killed", false);
    // Its last word to QEMU may have been heard.
    if (destination.contDue) killed("destination: killed behind its cont", true);
  }
  return found;
}

function withMessage<T extends string>(messages: readonly T[], message: T): readonly T[] {
  return messages.includes(message) ? messages : [...messages, message].sort();
}
