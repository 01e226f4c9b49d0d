import { type Disk, listDisks, type QmpClient } from "../../qmp/mod.ts";
import { MigrationError, refusal } from "../errors.ts";
import { type Guest, sourceProblems } from "../guest/inspect.ts";
import type { Mirror } from "../disks/mirror_set.ts";
import type { DestinationPeer } from "./destination_peer.ts";
import type { SourceOptions } from "./options.ts";
import type { StorageAccess } from "../storage/access.ts";
import { compareStorage } from "../storage/compare.ts";
import type { TargetImage } from "../disks/target_images.ts";
import { divideShared, type Held, selectDisks, staysBehind, unmovable } from "../disks/plan.ts";

/** A disk that goes, as the destination is told of it. */
export interface ChosenDisk {
  readonly name: string;
  readonly device: string;
  readonly sizeBytes: number;
  readonly format: string;
}

/** What becomes of a guest's disks. */
export interface Chosen {
  /** Those that are copied. */
  readonly disks: ChosenDisk[];
  /** Those that both ends share. */
  readonly shared: ChosenDisk[];
  /** All that the guest has. */
  readonly all: readonly Disk[];
  readonly warnings: string[];
}

/**
 * The disks of a guest that is fit to go, and what of them does not go along.
 *
 * @param names those to take; none = every one that can be mirrored.
 * @throws {MigrationError} kind `refused`, naming everything that stands in the way.
 */
export async function chooseDisks(
  qmp: QmpClient,
  guest: Guest,
  names: readonly string[],
  held: Held,
): Promise<Chosen> {
  const problems = await sourceProblems(qmp, guest);
  const all = await listDisks(qmp);
  const selection = selectDisks(all, names);
  const { copied, shared, problems: unknown } = divideShared(all, selection.disks, held);
  problems.push(...selection.problems, ...unknown, ...unmovable(copied));
  if (problems.length > 0) throw refusal("source-not-fit", "source", problems);
  return {
    disks: copied.map(described),
    shared: shared.map(described),
    all,
    warnings: staysBehind(copied),
  };
}

function described({ name, nodeName, sizeBytes, format }: Disk): ChosenDisk {
  return { name, device: nodeName, sizeBytes, format };
}

/**
 * The mirrors that copy these disks to the destination's exports.
 *
 * @throws {MigrationError} when there is none for one of them.
 */
export function mirrorsOf(
  disks: readonly ChosenDisk[],
  exports: readonly { readonly disk: string; readonly exportName: string }[],
  images: readonly TargetImage[],
): Mirror[] {
  const id = crypto.randomUUID().slice(0, 8);
  return disks.map(({ name, device, sizeBytes }, i) => {
    const exportName = exports.find((e) => e.disk === name)?.exportName;
    if (exportName === undefined) {
      const message = `The destination exports no disk ${name}`;
      throw new MigrationError("failed", "no-export", "destination", message);
    }
    const jobId = `vmferry-${id}-${i}`;
    const noHoles = images.some(({ disk }) => disk === name);
    return { name, device, sizeBytes, exportName, jobId, targetNode: `${jobId}-target`, noHoles };
  });
}

export interface CompareOrRefuseOptions extends
  Pick<
    SourceOptions,
    "qmp" | "host" | "compareSocket" | "reuse" | "report" | "clock" | "log" | "signal"
  > {
  readonly peer: DestinationPeer;
  readonly chosen: Chosen;
}

/**
 * Makes sure that no disk of the destination is storage of the source, before anything is written there.
 *
 * @throws {MigrationError} kind `refused`, when one is, or may be.
 */
export async function compareOrRefuse(options: CompareOrRefuseOptions): Promise<void> {
  const { qmp, host, compareSocket: socketPath, clock, log, peer, chosen, reuse, report, signal } =
    options;
  const access: StorageAccess = { ...host, qmp, clock, log, socketPath };
  const { disks: copied, shared, all: disks } = chosen;
  const { problems, warnings } = await compareStorage({
    ...{ access, peer, disks, copied, shared, reuse, signal },
  });
  for (const message of warnings) report({ event: "warning", code: "storage", message });
  if (problems.length > 0) throw refusal("same-storage", "destination", problems);
}
