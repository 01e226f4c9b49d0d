/**
 * What the source's QEMU does about its migration, when a tool asks it to or leaves it.
 *
 * @module
 */
import { isInPostcopy, streamCut, takenBack } from "./postcopy.ts";
import { atDestination, atSource, type Source, type World } from "./world.ts";

/** QEMU's migration goes on. */
export function isMigrating({ migration }: Source): boolean {
  return migration === "active" || migration === "pre" || migration === "device";
}

/** QEMU's migration is brought to an end before it has completed: QEMU resumes the guest. */
export function migrationFailed(world: World): World {
  const { qemu } = world.source;
  return atSource(world, { migration: "failed", qemu: qemu === "stopped" ? "running" : qemu });
}

/**
 * The migration of RAM is undone. A post-copy ends where the guest is to run here again; otherwise only its
 * stream is closed.
 */
export function ramUndone(world: World, isToRunHere: boolean): World {
  if (isInPostcopy(world.source)) return isToRunHere ? takenBack(world) : streamCut(world);
  return isMigrating(world.source) ? migrationFailed(world) : world;
}

/** QEMU takes `cont`: its migration is over. */
export function takesCont({ source }: World): boolean {
  return !isMigrating(source) && !isInPostcopy(source);
}

/** QEMU gets `cont`. */
export function continued(world: World): World {
  return world.source.qemu === "stopped" ? atSource(world, { qemu: "running" }) : world;
}

/** A tool ends and leaves its record; RAM's stream ends with it. */
export function leftBy(world: World, side: "source" | "destination"): World {
  const change = { tool: "dead", list: "", at: 0, writing: null } as const;
  const cut = streamCut(world);
  return side === "source" ? atSource(cut, change) : atDestination(cut, change);
}

/** Both ends read their disks, which nobody may write to or give away meanwhile. */
export function compared(world: World): World {
  const { source, destination, toDestination } = world;
  const isLate = ["loading", "loaded", "starting", "finished"].includes(destination.state) ||
    toDestination.includes("load");
  const broken = source.mirrors !== "ended"
    ? "disks are compared before their mirrors end"
    : isLate
    ? "disks are compared while the destination gives them away"
    : world.broken;
  return { ...world, broken };
}
