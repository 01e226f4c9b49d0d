/**
 * What QEMU does in post-copy: its device state crosses, then both QEMUs live on one stream until the
 * rest of RAM has crossed. The stream breaks with the session and with either tool.
 *
 * @module
 */
import { atDestination, atSource, type Source, type Step, type World } from "./world.ts";

/** QEMU's migration is in post-copy, and not over. */
export function isInPostcopy({ migration }: Source): boolean {
  return ["sending", "cut", "postcopy", "paused"].includes(migration);
}

/** The guest's RAM is not all at the destination, whose QEMU has the rest of the guest. */
export function isRamLeft({ destination }: World): boolean {
  return ["loaded", "running"].includes(destination.qemu) && !destination.whole;
}

/** RAM's stream breaks. */
export function streamCut(world: World): World {
  switch (world.source.migration) {
    case "sending":
      return atSource(world, { migration: "cut" });
    case "postcopy":
      return atSource(world, { migration: "paused" });
    default:
      return world;
  }
}

/** The source ends the post-copy of a guest that never ran at the destination: QEMU takes `cont` again. */
export function takenBack(world: World): World {
  return atSource(world, { migration: "failed" });
}

/** Both QEMUs may be joined again: both tools are in the same session. */
export function joined({ source, destination }: World): boolean {
  return source.attached && destination.owned && destination.tool === "up" &&
    destination.qemu === "running" && source.qemu === "stopped";
}

/** What the QEMUs do by themselves. */
export function postcopySteps(world: World): Step[] {
  const { source, destination } = world;
  if (!world.postcopy) return [];
  const found: Step[] = [];
  const add = (name: string, to: World) => found.push({ name, to });
  const { migration } = source;
  if (migration === "device") {
    // QEMU 11.1 waits until the destination's has loaded the device state, the others don't.
    add("source QEMU: postcopy-device", atSource(world, { migration: "sending" }));
    add("source QEMU: postcopy-active", atSource(world, { migration: "postcopy" }));
  }
  const isUp = source.tool === "up" && destination.tool === "up";
  const loads = destination.tool === "up" && ["prepared", "loading"].includes(destination.state);
  // What was on its way when the stream broke may still arrive.
  if (isInPostcopy(source) && destination.qemu === "incoming" && loads) {
    add("destination QEMU: has the device state", atDestination(world, { qemu: "filled" }));
  }
  if (migration === "sending" && destination.qemu === "loaded" && isUp) {
    add("source QEMU: postcopy-active", atSource(world, { migration: "postcopy" }));
  }
  if (migration === "sending" || migration === "postcopy") {
    add("RAM's stream breaks", streamCut(world));
  }
  if (migration === "cut") {
    // As 11.1 does.
    const to = atSource(world, { migration: "failed", qemu: "running" });
    add("source QEMU: resumes the guest by itself", to);
  }
  if (["cut", "paused", "failed"].includes(migration)) {
    if (destination.qemu === "incoming" || destination.qemu === "filled") {
      add("destination QEMU: ends while it loads", atDestination(world, { qemu: "gone" }));
    }
  }
  if (migration === "postcopy" && isUp && isRamLeft(world)) {
    add("destination QEMU: has all of RAM", atDestination(world, { whole: true }));
  }
  if (migration === "postcopy" && isUp && destination.whole) {
    add("source QEMU: completed", atSource(world, { migration: "completed" }));
  }
  return found;
}
