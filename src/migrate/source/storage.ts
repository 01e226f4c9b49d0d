import { refusal } from "../errors.ts";
import type { DestinationPeer } from "./destination_peer.ts";
import type { Chosen } from "./disks.ts";
import type { SourceOptions } from "./options.ts";
import type { StorageAccess } from "../storage/access.ts";
import { compareStorage } from "../storage/compare.ts";

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
