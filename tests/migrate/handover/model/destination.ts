/**
 * What the destination's tool does: each action of its lists, and what it does about what it hears.
 *
 * @module
 */
import { writeOf } from "../../../../src/migrate/handover/action.ts";
import type { DestinationAction } from "../../../../src/migrate/handover/destination_step.ts";
import {
  DESTINATION,
  type DestinationEvent,
  type DestinationState,
  isAttachable,
  resumedBy,
} from "../../../../src/migrate/handover/states.ts";
import { streamCut } from "./postcopy.ts";
import { leftBy } from "./source_qemu.ts";
import {
  actionsOf,
  atDestination,
  type Destination,
  type Program,
  type Step,
  type ToSource,
  without,
  type World,
} from "./world.ts";

export class DestinationModel {
  readonly #program: Program;

  constructor(program: Program) {
    this.#program = program;
  }

  steps(world: World): Step[] {
    const { destination } = world;
    if (destination.tool === "dead") return this.#resume(world);
    if (destination.tool !== "up") return [];
    const found: Step[] = [];
    const add = (name: string, to: World) => found.push({ name: `destination: ${name}`, to });
    const { state, list, writing } = destination;
    // The source went, gave up or did not come back; something failed here; QEMU ended.
    if (DESTINATION[state].fault !== state) add("fault", this.#take(world, "fault"));
    if (writing !== null) {
      add(`${writing} written`, atDestination(world, { journal: writing, writing: null }));
    }
    if (list !== "") this.#proceed(world, add);
    else if (["finished", "failed", "lost"].includes(state)) {
      // Of one that was not seen to run the record stays.
      const stays = state === "lost" && destination.qemu !== "gone";
      if (!stays) add("ends", atDestination(world, { tool: "over", journal: null }));
      add("ends, not all undone", leftBy(world, "destination"));
    } else if (state === "postcopy") {
      if (destination.whole) add("QEMU has all of RAM", this.#take(world, "ram-crossed"));
      if (destination.qemu === "gone") add("QEMU has ended", this.#take(world, "gone"));
      // At any time: after its grace, or at once when a source says that its QEMU has ended (`ramLost`).
      add("gives up", leftBy(world, "destination"));
    }
    this.#hear(world, add);
    return found;
  }

  /** Carries out what follows from an event; a list that is under way ends where it is. */
  #take(world: World, event: DestinationEvent): World {
    const { destination } = world;
    const action = this.#action(destination);
    const write = action === undefined ? undefined : writeOf<DestinationState>(action);
    return this.#begin(atDestination(world, {
      list: `${destination.state}.${event}`,
      at: 0,
      // It was begun: it ends all the same.
      ...(write ? { writing: write.state } : {}),
    }));
  }

  #next(world: World): World {
    return this.#begin(atDestination(world, { at: world.destination.at + 1 }));
  }

  #begin(from: World): World {
    let world = from;
    const { list } = world.destination;
    const actions = actionsOf<DestinationAction>(this.#program.destination, list);
    const [before, event] = list.split(".") as [DestinationState, DestinationEvent];
    for (let at = world.destination.at; at < actions.length; at++) {
      const action = actions[at]!;
      world = atDestination(world, { at });
      if (action === "enter") world = atDestination(world, { state: DESTINATION[before][event]! });
      else if (action.startsWith("answer ")) world = this.#answer(world, action);
      else if (action === "qemu cont") {
        const contDue = world.destination.contDue || world.destination.qemu === "loaded";
        return atDestination(world, { contDue });
      } else if (action === "qemu load") {
        const { mirrors } = world.source;
        const isCut = mirrors === "ready" || mirrors === "ending";
        const broken = "the NBD server is stopped under mirrors that have not ended";
        return isCut ? { ...world, broken } : world;
      } else if (!action.startsWith("report ") && action !== "settle" && action !== "undo") {
        return world;
      }
    }
    world = atDestination(world, { list: "", at: 0 });
    if (list === "prepared.load") return this.#take(world, "completed");
    if (actions.at(-1) !== "qemu cont") return world;
    return this.#take(world, world.destination.whole ? "runs" : "ram-left");
  }

  #answer(world: World, action: DestinationAction): World {
    const { state, journal } = world.destination;
    const say = (message: ToSource, told: DestinationState) => ({
      ...world,
      toSource: message,
      broken: journal === told ? world.broken : `"${message}" is said before it is written down`,
    });
    switch (action) {
      case "answer load":
        return say("load ok", "loaded");
      case "answer finish":
        return state === "postcopy"
          ? say("finish ok, RAM is left", "postcopy")
          : say("finish ok", "finished");
      case "answer not-started":
        return say("denied", "failed");
      case "answer lost":
        return say("lost", "lost");
      default:
        return say(`is ${state}`, state);
    }
  }

  /** The action that is under way ends. */
  #proceed(world: World, add: (name: string, to: World) => void): void {
    const { destination } = world;
    const { qemu, incomingStarted } = destination;
    const action = this.#action(destination)!;
    const done = (change: Partial<Destination> = {}, more: Partial<World> = {}) =>
      add(action, this.#next(atDestination(world, change, more)));
    const write = writeOf<DestinationState>(action);
    if (write) {
      // In the order in which they were begun.
      if (destination.writing === null) done({ journal: write.state });
      if (write.how === "write" && world.badLuck > 0) {
        const to = atDestination(world, { list: "", at: 0 }, {
          badLuck: world.badLuck - 1,
        });
        add(`${action} fails`, to);
      }
      return;
    }
    switch (action) {
      case "written":
        if (this.#isWritten(destination)) done();
        break;
      case "note incoming":
        done({ incomingStarted: true });
        break;
      case "qemu migrate-incoming":
        if (qemu !== "empty") break;
        add(
          action,
          this.#next(atDestination(world, { qemu: "incoming" }, {
            toSource: "stream ok",
          })),
        );
        break;
      case "qemu load":
        if (qemu === "loaded") done();
        break;
      case "qemu cont":
        if (qemu === "running") done();
        if (qemu === "loaded" && destination.contDue) {
          add("QEMU refuses", this.#take(atDestination(world, { contDue: false }), "refused"));
        }
        // It was not seen to run in time, and may all the same; or it has ended.
        if (qemu !== "running") add("QEMU is silent", this.#take(world, "gone"));
        add("QEMU does not answer", atDestination(world, { list: "", at: 0 }));
        break;
      case "qemu discard":
        if (!incomingStarted) done();
        // What QEMU still loads is waited for.
        else if (qemu === "filled") break;
        else if (qemu === "running") {
          done({ qemu: "quit" }, { broken: "a QEMU that runs the guest is ended" });
        } else done(qemu === "loaded" ? { qemu: "quit" } : {});
        break;
      default:
        throw new Error(`The model does not know "${action}"`);
    }
  }

  /** Nothing is being written down. */
  #isWritten(destination: Destination): boolean {
    const action = this.#action(destination);
    return destination.writing === null && (action === undefined || !writeOf(action));
  }

  #action({ list, at }: Destination): DestinationAction | undefined {
    return list === ""
      ? undefined
      : actionsOf<DestinationAction>(this.#program.destination, list)[at];
  }

  #hear(world: World, add: (name: string, to: World) => void): void {
    const { destination } = world;
    const { state, owned, incomingStarted, list } = destination;
    for (const message of world.toDestination) {
      const rest = { ...world, toDestination: without(world.toDestination, message) };
      const heard = (to: World) => add(`hears ${message}`, to);
      switch (message) {
        case "status":
          this.#reply(rest, "status", heard);
          break;
        case "attach":
          if (!isAttachable(state, incomingStarted)) heard(rest);
          else {
            // The session of before is ended, and with it what came in it.
            heard(atDestination(streamCut(rest), { owned: true }, {
              toDestination: rest.toDestination.filter((m) => m === "status"),
              toSource: "attached",
            }));
          }
          break;
        case "stream":
          heard(
            owned && state === "prepared" && list === "" && !incomingStarted
              ? this.#take(rest, "incoming")
              : rest,
          );
          break;
        case "load":
          heard(owned && state === "prepared" && list === "" ? this.#take(rest, "load") : rest);
          break;
        case "finish":
          if (!owned) heard(rest);
          else if (state === "loaded" || state === "starting") {
            // Asked again, the answer is the same one.
            heard(list === "" ? this.#take(rest, "finish") : rest);
          } else if (DESTINATION[state]["finish-late"] === undefined) heard(rest);
          else this.#reply(rest, "finish-late", heard);
          break;
      }
    }
  }

  /** An answer that changes nothing; it may wait for what is being written down, whatever goes on beside. */
  #reply(world: World, event: "status" | "finish-late", heard: (to: World) => void): void {
    const { destination } = world;
    let to = world;
    let isAnswered = false;
    for (const action of this.#program.destination[destination.state][event]!) {
      if (action === "written" && !this.#isWritten(destination)) {
        // The message waits; one that was answered before does not.
        if (isAnswered) heard(to);
        return;
      }
      if (!action.startsWith("answer ")) continue;
      to = this.#answer(to, action);
      isAnswered = true;
    }
    heard(to);
  }

  #resume(world: World): Step[] {
    const { journal, qemu, incomingStarted } = world.destination;
    if (journal === null || qemu === "gone" || qemu === "quit") return [];
    const up = atDestination(world, { tool: "up", state: journal, list: "", at: 0, owned: false });
    const event = resumedBy(journal, incomingStarted);
    return [{ name: "destination: resumes", to: event ? this.#take(up, event) : up }];
  }
}
