import { type Clock, delay } from "../../io/mod.ts";
import { MigrationError, type Report } from "../../migrate/mod.ts";
import type { Membership } from "./lock_directory.ts";
import type { Member } from "./member.ts";

/** How often a migration that waits looks whether it may begin, ms. */
const LOOK_MS = 1000;
/** How soon it looks again where another one was looking, ms: the looks of many spread by chance. */
const SOON_MS = 20;
/** How often it does that before it waits as long as ever. */
const SOON_LOOKS = 10;
/** A waiting process that has shown no sign for so long is stopped: others do not wait for it, ms. */
const STOPPED_MS = 5 * LOOK_MS;

/** What a slot is taken by. */
export interface SlotOptions {
  readonly membership: Membership;
  /** `--max-parallel`. */
  readonly max: number;
  /** `--max-wait`, ms; 0: as long as it takes. */
  readonly maxWaitMs: number;
  /** Called once it is known that it has to wait. */
  readonly onWait: () => Promise<void>;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly report: Report;
}

/**
 * Waits until fewer than `max` others run, and then runs. Of those that may begin, the first that came does.
 *
 * @throws {MigrationError} kind `refused` when that takes longer than `maxWaitMs`.
 * @throws the signal's reason when it is aborted first.
 */
export async function takeSlot(options: SlotOptions): Promise<void> {
  const { membership, max, maxWaitMs, onWait, signal, clock, report } = options;
  const { directory } = membership;
  const start = clock.now();
  let told = false;
  let soonLooks = 0;
  while (true) {
    signal.throwIfAborted();
    const others = await tryToRun(options);
    if (others === undefined) return;
    if (others === "busy" && soonLooks++ < SOON_LOOKS) {
      await delay(clock, SOON_MS * (0.5 + Math.random()), signal);
      continue;
    }
    soonLooks = 0;
    const running = others === "busy" ? undefined : others;
    if (running && !told) {
      told = true;
      await onWait();
      const named = running.map(({ pid, what }) => ({ pid, what }));
      report({ event: "waiting", maxParallel: max, lockDir: directory.path, running: named });
    }
    const left = maxWaitMs === 0 ? Infinity : maxWaitMs - (clock.now() - start);
    if (left <= 0) {
      const which = running && running.length > 0 ? `: ${running.map(nameOf).join(", ")}` : "";
      throw new MigrationError(
        ...["refused", "no-slot", "source"] as const,
        `No migration could begin within ${maxWaitMs / 1000} s (--max-wait): others run on this ` +
          `host, and --max-parallel allows ${max}${which}`,
      );
    }
    await delay(clock, Math.min(LOOK_MS, left), signal);
    await membership.note({});
  }
}

/** A member for people. */
export function nameOf({ what, pid }: Pick<Member, "what" | "pid">): string {
  return `${what} (process ${pid})`;
}

/**
 * Runs if it may; else those that run, of which there may be fewer than `max` when one that came before it takes the
 * place. `busy`: another process is looking.
 */
async function tryToRun(
  { membership, max }: SlotOptions,
): Promise<readonly Member[] | "busy" | undefined> {
  const { directory, id } = membership;
  // Two that count at the same time would both begin.
  using gate = await directory.gate();
  if (!gate) return "busy";
  const running = await directory.members("running", id);
  if (running.length >= max) return running;
  for (const name of await directory.names()) {
    if (name.id >= id) break;
    if (name.state !== "waiting") continue;
    const earlier = await directory.look(name);
    if (!earlier || Date.now() - earlier.writtenAt > STOPPED_MS) continue;
    // One that accepts fewer others does not keep this one.
    if ((earlier.member.maxParallel ?? Infinity) > running.length) return running;
  }
  await membership.run();
  return undefined;
}
