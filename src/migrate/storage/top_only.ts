import type { Clock } from "../../io/mod.ts";
import type { Report } from "../events.ts";
import type { StorageAccess } from "./access.ts";
import { backedDisks, compareBases } from "./compare_bases.ts";
import type { DestinationPeer } from "../source/destination_peer.ts";
import type { Chosen } from "../source/disks.ts";
import type { SourceOptions } from "../source/options.ts";

/** What {@link chooseTopOnly} needs. */
export interface TopOnlyOptions
  extends Pick<SourceOptions, "sync" | "verifyBase" | "arrange" | "report" | "clock" | "signal"> {
  readonly access: StorageAccess;
  readonly peer: DestinationPeer;
  readonly chosen: Pick<Chosen, "all" | "disks">;
  /** Both ends were compared by a process that was killed, and perhaps not their backing files. */
  readonly isPrepared: boolean;
}

/**
 * Chooses the disks of which only the uppermost image crosses, and makes sure that the destination has the
 * rest. A disk without a backing file crosses as a whole: a mirror of its uppermost image alone would leave
 * what the destination's image has in the source's holes.
 *
 * @returns the names of the disks.
 * @throws {MigrationError} kind `refused`, code `base-differs` or `base-not-compared`.
 */
export async function chooseTopOnly(options: TopOnlyOptions): Promise<ReadonlySet<string>> {
  const { sync, verifyBase: verify = false, access, peer, chosen, report, signal } = options;
  if (sync !== "top") return new Set();
  const disks = { disks: chosen.all, copied: chosen.disks };
  // The plan of a launch has compared the backing files, and created the images over them.
  if (options.arrange) return await backedDisks(access.qmp, disks);
  const whole = (names: readonly string[], why: string) => {
    if (names.length === 0) return;
    const message = `${names.join(", ")}: copied with everything, because ${why}`;
    report({ event: "warning", code: "sync-full", message });
  };
  const names = chosen.disks.map(({ name }) => name);
  if (options.isPrepared) {
    whole(names, "the killed process may not have compared the backing files");
    return new Set();
  }
  const onProgress = progressTo(report, options.clock);
  const backed = await compareBases({ access, peer, ...disks, verify, onProgress, signal });
  whole(names.filter((name) => !backed.has(name)), "there is no backing file");
  return backed;
}

/** Reports the comparison of a backing file as the progress of its disk. */
function progressTo(report: Report, clock: Clock) {
  const began = clock.now();
  return (name: string, transferred: number, total: number) => {
    const rate = transferred / Math.max(0.001, (clock.now() - began) / 1000);
    report({
      event: "progress",
      phase: "prepare",
      disks: [{ name, transferred, total, ready: false }],
      ram: null,
      rate: Math.round(rate),
      eta: Math.ceil((total - transferred) / Math.max(1, rate)),
    });
  };
}
