/**
 * What the source's tool does: each action of its lists, and what it does about what it hears.
 *
 * @module
 */
import { writeOf } from "../../../../src/migrate/handover/action.ts";
import type { SourceAction } from "../../../../src/migrate/handover/source_step.ts";
import {
  type DestinationState,
  resumedAt,
  resumedWith,
  SOURCE,
  type SourceEvent,
  type SourceState,
  wordOf,
} from "../../../../src/migrate/handover/states.ts";
import { isInPostcopy, joined } from "./postcopy.ts";
import { compared, continued, leftBy, ramUndone, takesCont } from "./source_qemu.ts";
import {
  actionsOf,
  atSource,
  type Program,
  type Source,
  type Step,
  type ToDestination,
  withMessage,
  type World,
} from "./world.ts";

export class SourceModel {
  readonly #program: Program;

  constructor(program: Program) {
    this.#program = program;
  }

  steps(world: World): Step[] {
    const { source } = world;
    if (source.tool === "dead") return this.#resume(world);
    if (source.tool !== "up") return [];
    const found: Step[] = [];
    const add = (name: string, to: World) => found.push({ name: `source: ${name}`, to });
    const { state, list, writing } = source;
    // Between any two actions, and while one is under way.
    if (SOURCE[state].fault !== state && list !== `${state}.fault`) {
      add("fault", this.#take(world, "fault"));
    }
    if (writing !== null) {
      add(`${writing} written`, atSource(world, { journal: writing, writing: null }));
    }
    if (list !== "") this.#proceed(world, add);
    else this.#idle(world, add);
    this.#hear(world, add);
    return found;
  }

  /** Carries out what follows from an event, up to the first action that has to be waited for. */
  #take(world: World, event: SourceEvent): World {
    return this.#begin(atSource(world, { list: `${world.source.state}.${event}`, at: 0 }));
  }

  #next(world: World): World {
    return this.#begin(atSource(world, { at: world.source.at + 1 }));
  }

  #begin(from: World): World {
    let world = from;
    const { list } = world.source;
    const actions = actionsOf<SourceAction>(this.#program.source, list);
    const [before, event] = list.split(".") as [SourceState, SourceEvent];
    for (let at = world.source.at; at < actions.length; at++) {
      world = atSource(world, { at });
      const begun = this.#beginAction(world, actions[at]!, SOURCE[before][event]!);
      if (begun.waits) return begun.world;
      world = begun.world;
    }
    world = atSource(world, { list: "", at: 0 });
    return list === "ram.stopped" ? this.#take(world, "crossed") : world;
  }

  #beginAction(world: World, action: SourceAction, to: SourceState) {
    const waits = (w: World) => ({ world: w, waits: true });
    const goesOn = (w: World) => ({ world: w, waits: false });
    const send = (message: ToDestination) => ({
      ...world,
      toDestination: withMessage(world.toDestination, message),
    });
    const write = writeOf<SourceState>(action);
    if (write?.how === "begin to write") return goesOn(atSource(world, { writing: write.state }));
    if (write?.how === "withdraw") {
      const { journal } = world.source;
      return journal === "handover" || journal === "unknown" ? waits(world) : goesOn(world);
    }
    if (write) return waits(world);
    const { qemu, migration, mirrors } = world.source;
    switch (action) {
      case "enter":
        return goesOn(atSource(world, { state: to }));
      case "call stream":
        return waits(send("stream"));
      case "call load":
        return goesOn(send("load"));
      case "qemu migrate":
        return goesOn(qemu === "gone" ? world : atSource(world, { migration: "active" }));
      case "qemu end-mirrors":
        return goesOn(mirrors === "ready" ? atSource(world, { mirrors: "ending" }) : world);
      case "qemu migrate-continue": {
        const broken = mirrors === "ended"
          ? world.broken
          : "disks are given away before their mirrors end";
        return waits(
          migration === "pre" ? atSource(world, { migration: "device" }, { broken }) : world,
        );
      }
      case "compare disks":
        return waits(compared(world));
      case "written":
      case "wait mirrors":
      case "wait load":
      case "call finish":
      case "call recover":
      case "undo":
      case "qemu cont":
      case "qemu quit":
        return waits(world);
      // Nothing that the destination does not do by itself: it may give up at any time before the handover.
      case "call abort":
      case "undo there":
      default:
        return goesOn(world);
    }
  }

  /** The action that is under way ends. */
  #proceed(world: World, add: (name: string, to: World) => void): void {
    const { source } = world;
    const { list, at, state } = source;
    const action = actionsOf<SourceAction>(this.#program.source, list)[at]!;
    const done = (to: World) => add(action, this.#next(to));
    const write = writeOf<SourceState>(action);
    if (write) {
      const written = atSource(world, { journal: write.state });
      done(written);
      if (write.how === "write") add(`${action}, a fault meanwhile`, this.#take(written, "fault"));
      if (write.how === "write" && world.badLuck > 0) {
        add(
          `${action} fails`,
          this.#take({ ...world, badLuck: world.badLuck - 1 }, "fault"),
        );
      }
      return;
    }
    switch (action) {
      case "written":
        if (source.writing === null) done(world);
        break;
      case "wait mirrors":
        if (source.mirrors === "ended") done(world);
        break;
      case "compare disks":
        done(world);
        // A fault at any moment is among the steps of the state; this one is a difference that stays.
        add("the disks differ", this.#take(world, "fault"));
        break;
      case "qemu migrate-continue":
        if (["completed", "postcopy", "paused"].includes(source.migration)) done(world);
        break;
      case "wait load":
        if (source.loadAnswered) done(world);
        break;
      case "call finish": {
        const message = source.attached ? "finish" : "status";
        add(`sends ${message}`, {
          ...world,
          toDestination: withMessage(world.toDestination, message),
          finishSent: world.finishSent || message === "finish",
        });
        add("silence", this.#take(world, "silence"));
        break;
      }
      case "undo":
        done(ramUndone(world, state === "undone"));
        break;
      case "qemu cont":
        if (takesCont(world)) done(continued(world));
        break;
      case "qemu quit":
        if (source.qemu === "stopped" || source.qemu === "running") {
          const { qemu, whole } = world.destination;
          const isThere = qemu === "running" || world.guestEnded;
          const broken = source.qemu === "running" || !isThere
            ? "the only guest is ended"
            : !whole
            ? "QEMU is ended with a part of the guest's RAM"
            : world.broken;
          done(atSource(world, { qemu: "quit" }, { broken }));
        }
        done(world);
        break;
      case "call stream":
        break;
      case "call recover":
        if (source.migration === "completed") {
          add("RAM has crossed", this.#take(world, "ram-crossed"));
        } else {
          const message = source.attached ? "status" : "attach";
          add(`sends ${message}`, {
            ...world,
            toDestination: withMessage(world.toDestination, message),
          });
          add("gives up", leftBy(world, "source"));
        }
        break;
      default:
        throw new Error(`The model does not know "${action}" in ${state}`);
    }
  }

  #idle(world: World, add: (name: string, to: World) => void): void {
    const { state, attached, migration } = world.source;
    if (state === "mirror") {
      if (attached) add("ready", this.#take(world, "ready"));
      else {add("sends attach", {
          ...world,
          toDestination: withMessage(world.toDestination, "attach"),
        });}
    } else if (state === "ram" && migration === "pre") {
      add("stopped", this.#take(world, "stopped"));
    } else if (state === "undone" || state === "done") {
      add("ends", atSource(world, { tool: "over", journal: null }));
      // The next process finds in the journal what could not be undone.
      add("ends, not all undone", atSource(world, { tool: "dead", journal: state }));
    } else if (state === "unknown") add("ends", leftBy(world, "source"));
    else if (state === "postcopy") {
      if (migration === "completed") add("RAM has crossed", this.#take(world, "ram-crossed"));
      else add("RAM does not cross", this.#take(world, "broken"));
    }
  }

  #hear(world: World, add: (name: string, to: World) => void): void {
    const { source } = world;
    const isAsking = this.#action(source) === "call finish";
    const isJoining = this.#action(source) === "call recover";
    const message = world.toSource;
    if (message === "") return;
    const rest = { ...world, toSource: "" } as const;
    const heard = (to: World) => add(`hears ${message}`, to);
    if (message === "stream ok") {
      heard(this.#action(source) === "call stream" ? this.#next(rest) : rest);
    } else if (message === "load ok") {
      heard(source.state === "switchover" ? atSource(rest, { loadAnswered: true }) : rest);
    } else if (message === "attached") {
      const takes = isAsking || isJoining || (source.state === "mirror" && source.list === "");
      heard(takes ? atSource(rest, { attached: true }) : rest);
    } else if (isJoining) {
      if (message === "is finished") heard(this.#take(rest, "ram-crossed"));
      else if (message === "is postcopy" && source.migration === "paused" && joined(rest)) {
        heard(this.#next(atSource(rest, { migration: "postcopy" })));
      } else heard(rest);
    } else if (!isAsking) heard(rest);
    else if (message === "finish ok") heard(this.#answered(rest));
    else if (message === "finish ok, RAM is left") heard(this.#ramLeft(rest));
    else if (message === "denied") heard(this.#take(rest, "denied"));
    else if (message === "lost") heard(this.#take(rest, "silence"));
    else {
      const word = wordOf(message.slice(3) as DestinationState);
      if (word === "ask-again") heard(rest);
      else if (word === "finish-again") {
        heard({ ...rest, toDestination: withMessage(rest.toDestination, "attach") });
      } else if (word === "answered") heard(this.#answered(rest));
      else heard(word === "ram-left" ? this.#ramLeft(rest) : this.#take(rest, word));
    }
  }

  /** The guest runs at the destination with all of its RAM; QEMU here may not know that. */
  #answered(world: World): World {
    return this.#take(world, isInPostcopy(world.source) ? "ram-left" : "answered");
  }

  /** The guest runs at the destination. QEMU here may know that all of its RAM has crossed. */
  #ramLeft(world: World): World {
    return this.#take(world, world.source.migration === "completed" ? "answered" : "ram-left");
  }

  #action({ list, at }: Source): SourceAction | undefined {
    return list === "" ? undefined : actionsOf<SourceAction>(this.#program.source, list)[at];
  }

  #resume(world: World): Step[] {
    const { journal, qemu } = world.source;
    if (journal === null || qemu === "gone" || qemu === "quit") return [];
    const state = resumedAt(journal);
    const up = atSource(world, { tool: "up", state, list: "", at: 0 });
    const event = resumedWith(state);
    return [{ name: "source: resumes", to: event ? this.#take(up, event) : up }];
  }
}
