import { type Logger, messageOf } from "../../io/mod.ts";
import { type QmpClient, QmpCommandError, queryMigrate } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
import { runs } from "./run_states.ts";

export interface ActivateOptions {
  readonly qmp: QmpClient;
  /** QEMU's run state. */
  readonly status: string;
  /** Where QEMU may make a socket for a moment. */
  readonly socketPath: string;
  readonly removeFile: (path: string) => Promise<void>;
  readonly log: Logger;
}

/**
 * Activates the disks of a guest that arrived here paused and has not run since.
 *
 * With late-block-activate QEMU keeps the block nodes of an incoming guest inactive until `cont`. Before
 * 10.0 a migration of them ends QEMU: `bdrv_inactivate_recurse: Assertion !(bs->open_flags &
 * BDRV_O_INACTIVE)`. The writable disks were exported for mirrors, which activates them; read-only media
 * and firmware code were not. So each node is exported read-only for a moment: `block-export-add`
 * activates its node and everything below it, and the guest executes nothing. From 10.0 on
 * (`blockdev-set-active`) QEMU gives inactive nodes away.
 *
 * @throws {MigrationError} kind `refused`, when a disk of the guest cannot be activated.
 */
export async function activateArrived(options: ActivateOptions): Promise<void> {
  const { qmp, status, log } = options;
  if (runs(status) || qmp.hasCommand("blockdev-set-active")) return;
  // Of an incoming migration too; QEMU says "none" where there never was one.
  if ((await queryMigrate(qmp)).status === "none") return;
  const disks = await qmp.execute("query-block", {});
  const attached = disks.flatMap(({ inserted, qdev, device }) =>
    inserted?.["node-name"] ? [{ node: inserted["node-name"], disk: qdev || device }] : []
  );
  const named = await qmp.execute("query-named-block-nodes", { flat: true });
  // QEMU names nodes "#block…" that nobody else has named: they are below others.
  const others = named.map((node) => node["node-name"])
    .filter((node) => !node.startsWith("#") && !attached.some((a) => a.node === node));
  if (attached.length + others.length === 0) return;
  const stop = await startServer(options);
  try {
    for (const { node, disk } of attached) {
      await exportOnce(qmp, node).catch((error) => {
        throw new MigrationError(
          "refused",
          "disk-inactive",
          "source",
          `The guest arrived here paused, and QEMU does not activate disk ${disk || node}: ` +
            `${messageOf(error)}. Continue the guest once ('cont', then 'stop') and migrate again`,
          { cause: error },
        );
      });
    }
    for (const node of others) {
      // One that is no disk of the guest may be in use in a way that allows no export.
      await exportOnce(qmp, node).catch((error) =>
        log.log("debug", `node ${node} was not activated: ${messageOf(error)}`)
      );
    }
  } finally {
    await stop();
  }
}

/** @returns what stops it; one that runs already is used and left alone. */
async function startServer(
  { qmp, socketPath: path, removeFile, log }: ActivateOptions,
): Promise<() => Promise<void>> {
  const start = async (data: { path: string; abstract?: true }) => {
    await qmp.execute("nbd-server-start", { addr: { type: "unix", data }, "max-connections": 1 });
  };
  try {
    await start({ path });
  } catch (error) {
    if (!(error instanceof QmpCommandError)) throw error;
    if (/already/i.test(error.message)) return () => Promise.resolve();
    log.log("debug", `${path}: ${error.message}`);
    // A QEMU of another user makes no files in our directory.
    await start({ path: `vmferry-${crypto.randomUUID()}`, abstract: true });
  }
  return async () => {
    await qmp.execute("nbd-server-stop", {}).catch((error) =>
      log.log("debug", `nbd-server-stop: ${messageOf(error)}`)
    );
    await removeFile(path);
  };
}

async function exportOnce(qmp: QmpClient, node: string): Promise<void> {
  const id = `vmferry-${crypto.randomUUID()}`;
  await qmp.execute("block-export-add", {
    ...{ type: "nbd", id, "node-name": node, name: id, writable: false },
  });
  await qmp.execute("block-export-del", { id, mode: "hard" });
}
