import { listDisks, type QmpClient } from "../qmp/mod.ts";
import { MigrationError, refusal } from "./errors.ts";
import { type Guest, sourceProblems } from "./inspect.ts";
import type { Mirror } from "./mirrors.ts";
import { selectDisks, staysBehind, unmovable } from "./plan.ts";

/** A disk that goes, as the destination is told of it. */
export interface ChosenDisk {
  readonly name: string;
  readonly device: string;
  readonly sizeBytes: number;
  readonly format: string;
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
): Promise<{ readonly disks: ChosenDisk[]; readonly warnings: string[] }> {
  const problems = await sourceProblems(qmp, guest);
  const selection = selectDisks(await listDisks(qmp), names);
  problems.push(...selection.problems, ...unmovable(selection.disks));
  if (problems.length > 0) throw refusal("source-not-fit", "source", problems);
  const disks = selection.disks.map(({ name, nodeName, sizeBytes, format }) => ({
    ...{ name, device: nodeName, sizeBytes, format },
  }));
  return { disks, warnings: staysBehind(selection.disks) };
}

/**
 * The mirrors that copy these disks to the destination's exports.
 *
 * @throws {MigrationError} when there is none for one of them.
 */
export function mirrorsOf(
  disks: readonly ChosenDisk[],
  exports: readonly { readonly disk: string; readonly exportName: string }[],
): Mirror[] {
  const id = crypto.randomUUID().slice(0, 8);
  return disks.map(({ name, device, sizeBytes }, i) => {
    const exportName = exports.find((e) => e.disk === name)?.exportName;
    if (exportName === undefined) {
      const message = `The destination exports no disk ${name}`;
      throw new MigrationError("failed", "no-export", "destination", message);
    }
    const jobId = `vmferry-${id}-${i}`;
    return { name, device, sizeBytes, exportName, jobId, targetNode: `${jobId}-target` };
  });
}
