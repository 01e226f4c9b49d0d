import type { Logger } from "../io/mod.ts";
import { type QmpClient, QmpCommandError } from "../qmp/mod.ts";
import type { DiskPair } from "./plan.ts";

/** A disk as the destination's QEMU offers it. */
export interface NbdExport {
  /** The disk's name at the source. */
  readonly disk: string;
  readonly exportName: string;
  /** Id of the export in QEMU. */
  readonly id: string;
}

/**
 * Names for the exports of these disks. The nonce in them is what keeps a mirror from going on with
 * another QEMU process than the one that it began with.
 */
export function nameExports(pairs: readonly DiskPair[]): NbdExport[] {
  const nonce = crypto.randomUUID().slice(0, 8);
  return pairs.map(({ name }, i) => ({
    disk: name,
    exportName: `${name}-${nonce}`,
    id: `vmferry-${nonce}-${i}`,
  }));
}

/** Starts QEMU's NBD server on a UNIX socket, with one writable export a disk. */
export async function startExports(
  qmp: QmpClient,
  path: string,
  pairs: readonly DiskPair[],
  exports: readonly NbdExport[],
): Promise<void> {
  await qmp.execute("nbd-server-start", { addr: { type: "unix", data: { path } } });
  for (const [i, { local }] of pairs.entries()) {
    const { id, exportName: name } = exports[i]!;
    await qmp.execute("block-export-add", {
      ...{ type: "nbd", id, "node-name": local.nodeName, name, writable: true },
    });
  }
}

/** Which of the exports QEMU has now. */
export async function exportsInQemu(
  qmp: QmpClient,
  exports: readonly NbdExport[],
): Promise<NbdExport[]> {
  const now = await qmp.execute("query-block-exports", {});
  return exports.filter(({ id }) => now.some((e) => e.id === id));
}

/** Stops the NBD server, which ends its exports. Tolerates that it is gone. */
export async function stopNbdServer(qmp: QmpClient, log: Logger): Promise<void> {
  try {
    await qmp.execute("nbd-server-stop", {});
  } catch (error) {
    if (!(error instanceof QmpCommandError)) throw error;
    log.log("debug", `nbd-server-stop: ${error.message}`);
  }
}
