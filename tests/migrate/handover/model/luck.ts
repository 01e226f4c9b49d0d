/**
 * What happens without either tool: what the QEMUs do by themselves, `recover`, and bad luck.
 *
 * @module
 */
import type { DestinationState } from "../../../../src/migrate/handover/states.ts";
import {
  destinationVerdict,
  type RecoverAction,
  sourceVerdict,
  type Verdict,
} from "../../../../src/migrate/handover/verdict.ts";
import { DestinationModel } from "./destination.ts";
import { isInPostcopy, isRamLeft, postcopySteps, streamCut } from "./postcopy.ts";
import { SourceModel } from "./source.ts";
import { continued, isMigrating, migrationFailed, ramUndone, takesCont } from "./source_qemu.ts";
import { atDestination, atSource, type Program, type Step, type World } from "./world.ts";

/** Everything that can happen next, by the lists of this program. */
export function stepsOf(program: Program): (world: World) => Step[] {
  const source = new SourceModel(program);
  const destination = new DestinationModel(program);
  return (world) =>
    // What must never be done was done: no more is to be seen there.
    world.broken !== "" ? [] : [
      ...source.steps(world),
      ...destination.steps(world),
      ...qemuSteps(world),
      ...postcopySteps(world),
      ...recoverSteps(world, program),
      ...badLuck(world),
    ];
}

function qemuSteps(world: World): Step[] {
  const { source, destination } = world;
  const found: Step[] = [];
  const add = (name: string, to: World) => found.push({ name, to });
  if (source.migration === "active" && source.qemu === "running") {
    add("source QEMU: stops the guest", atSource(world, { qemu: "stopped", migration: "pre" }));
  }
  if (source.mirrors === "ending" && !["failed", "finished", "lost"].includes(destination.state)) {
    add("source QEMU: the mirrors end", atSource(world, { mirrors: "ended" }));
  }
  if (source.migration === "device") {
    add("source QEMU: completed", atSource(world, { migration: "completed" }));
  }
  // The last byte goes through both tools.
  const passes = source.tool === "up" && destination.tool === "up" &&
    ["prepared", "loading"].includes(destination.state);
  if (source.migration === "completed" && destination.qemu === "incoming" && passes) {
    add("destination QEMU: has all", atDestination(world, { qemu: "filled", whole: true }));
  }
  if (destination.qemu === "filled") {
    add("destination QEMU: completed", atDestination(world, { qemu: "loaded" }));
  }
  if (isMigrating(source)) add("source QEMU: its migration fails", migrationFailed(world));
  if (destination.contDue && destination.qemu === "loaded") {
    add(
      "destination QEMU: runs",
      atDestination(world, { qemu: "running", contDue: false }, { ranThere: true }),
    );
  }
  return found;
}

/** The guest may be handed over, by this record: it stays although its QEMU has ended. */
const OPEN: readonly string[] = ["handover", "postcopy", "unknown", "starting", "lost"];

function recoverSteps(world: World, program: Program): Step[] {
  const { source, destination } = world;
  const found: Step[] = [];
  if (source.tool === "dead" && source.journal !== null) {
    const { journal, qemu } = source;
    if (qemu === "gone" || qemu === "quit") {
      if (!OPEN.includes(journal)) {
        found.push({
          name: "source: recovers: its QEMU has ended",
          to: atSource(world, { tool: "over", journal: null }),
        });
      }
    } else {
      for (const word of wordsOf(world)) {
        const runs = qemu === "running";
        const verdict = sourceVerdict({ runs, journal, destination: word, force: false });
        if (verdict === "ask") continue;
        found.push({
          name: `source: recovers (${word ?? "unasked"}): ${verdict}`,
          to: atSource(world, { tool: "recovering", list: verdict, at: 0 }),
        });
      }
    }
  }
  if (source.tool === "recovering") {
    const action = program.recover[source.list as Verdict][source.at]!;
    const next = { at: source.at + 1 };
    const done = (to: World) => found.push({ name: `source: recover: ${action}`, to });
    switch (action) {
      case "undo":
        done(atSource(ramUndone(world, source.list === "run-here"), next));
        break;
      case "qemu cont":
        if (takesCont(world)) done(atSource(continued(world), next));
        break;
      case "forget":
        done(ended(atSource(world, { ...next, journal: null }), "source", program));
        break;
    }
  }
  if (destination.tool === "dead" && destination.journal !== null) {
    const { journal, qemu } = destination;
    if (qemu === "gone" || qemu === "quit") {
      if (!OPEN.includes(journal)) {
        found.push({
          name: "destination: recovers: its QEMU has ended",
          to: atDestination(world, { tool: "over", journal: null }),
        });
      }
    } else {
      const verdict = destinationVerdict({
        journal,
        runs: qemu === "running",
        complete: qemu === "loaded" || qemu === "running",
        ramLeft: isRamLeft(world),
        force: false,
      });
      // What QEMU still loads is not known to be complete: the user looks again.
      if (verdict !== "ask" && qemu !== "filled") {
        found.push({
          name: `destination: recovers: ${verdict}`,
          to: atDestination(world, { tool: "recovering", list: verdict, at: 0 }),
        });
      }
    }
  }
  if (destination.tool === "recovering") {
    const action = program.recover[destination.list as Verdict][destination.at]!;
    const next = { at: destination.at + 1 };
    const done = (to: World) => found.push({ name: `destination: recover: ${action}`, to });
    switch (action) {
      case "undo":
        done(atDestination(world, next));
        break;
      case "qemu quit": {
        const broken = destination.qemu === "running"
          ? "a QEMU that runs the guest is ended"
          : world.broken;
        const qemu = destination.qemu === "gone" ? "gone" : "quit";
        done(atDestination(world, { ...next, qemu, contDue: false }, { broken }));
        break;
      }
      case "forget":
        done(ended(atDestination(world, { ...next, journal: null }), "destination", program));
        break;
    }
  }
  return found;
}

/** Recover ends where nothing of its list is left; it goes on else. */
function ended(world: World, side: "source" | "destination", program: Program): World {
  const { list, at } = world[side];
  if (at < program.recover[list as Verdict].length) return world;
  const change = { tool: "over", list: "", at: 0 } as const;
  return side === "source" ? atSource(world, change) : atDestination(world, change);
}

/** What a `recover` may hear that asks the destination, if it asks and is answered. */
function wordsOf({ destination }: World): (DestinationState | undefined)[] {
  // A destination answers what its journal says, see the answer to `status`.
  const answers = destination.tool === "up" && destination.journal === destination.state;
  return answers ? [undefined, destination.state] : [undefined];
}

function badLuck(world: World): Step[] {
  const found: Step[] = [];
  const { source, destination } = world;
  if (world.badLuck > 0 && source.tool === "up" && destination.tool === "up" && source.attached) {
    found.push({
      name: "the session ends",
      to: atDestination(atSource(streamCut(world), { attached: false }), { owned: false }, {
        ...{ badLuck: world.badLuck - 1, toDestination: [], toSource: "" },
      }),
    });
  }
  if (world.badLuck > 0 && (source.tool === "up" || source.tool === "recovering")) {
    found.push({
      name: "source: killed",
      // What was on its way to a process ends with it; what it sent may still arrive.
      to: atSource(streamCut(world), {
        ...{ tool: "dead", list: "", at: 0, writing: null },
        ...{ loadAnswered: false, attached: false },
      }, { badLuck: world.badLuck - 1, toSource: "" }),
    });
  }
  if (world.badLuck > 0 && ["up", "recovering"].includes(destination.tool)) {
    const killed = (name: string, contDue: boolean) =>
      found.push({
        name,
        to: atDestination(
          atSource(streamCut(world), { attached: false }),
          { tool: "dead", list: "", at: 0, writing: null, owned: false, contDue },
          { badLuck: world.badLuck - 1, toDestination: [] },
        ),
      });
    killed("destination: killed", false);
    // Its last word to QEMU may have been heard.
    if (destination.contDue) killed("destination: killed behind its cont", true);
  }
  if (world.badLuck > 0) {
    const badLuck = world.badLuck - 1;
    if (source.qemu === "running" || source.qemu === "stopped") {
      const isOver = !isMigrating(source) && !isInPostcopy(source);
      const migration = isOver ? source.migration : "failed";
      const mirrors = source.mirrors === "ended" ? "ended" : "broken";
      const isThere = destination.qemu === "running" && destination.whole;
      const guestEnded = world.guestEnded || !isThere;
      found.push({
        name: "source QEMU: ends",
        to: atSource(world, { qemu: "gone", migration, mirrors }, { badLuck, guestEnded }),
      });
    }
    if (["empty", "incoming", "filled", "loaded", "running"].includes(destination.qemu)) {
      const guestEnded = world.guestEnded || destination.qemu === "running";
      found.push({
        name: "destination QEMU: ends",
        to: atDestination(world, { qemu: "gone", contDue: false }, { badLuck, guestEnded }),
      });
    }
  }
  return found;
}

export type { RecoverAction };
