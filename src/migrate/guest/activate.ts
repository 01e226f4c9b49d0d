import { type Logger, messageOf } from "../../io/mod.ts";
import { type QmpClient, QmpCommandError, queryMigrate } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
import { runs } from "./run_states.ts";

export interface ActivateOptions {
  readonly qmp: QmpClient;
  /** QEMU's run state. */
  readonly status: string;
  /** UNIX socket for QEMU's NBD server, which listens only during this call. */
  readonly socketPath: string;
  readonly removeFile: (path: string) => Promise<void>;
  readonly log: Logger;
}

/**
 * Activates the disks of a guest that an earlier migration brought here and that has not run since.
 *
 * With late-block-activate QEMU keeps the block nodes of an incoming guest inactive until `cont`. Before
 * 10.0 a migration of them ends QEMU: `bdrv_inactivate_recurse: Assertion !(bs->open_flags &
 * BDRV_O_INACTIVE)`. The writable disks were exported for mirrors, which activates them; read-only media
 * and firmware code were not. So each node is exported read-only and the export removed:
 * `block-export-add` activates its node and everything below it, without running the guest. QEMU 10.0
 * and later (`blockdev-set-active`) migrates inactive nodes.
 *
 * @throws {MigrationError} kind `refused`, code `disk-inactive`, when QEMU rejects the export of a disk.
 */
export async function activateArrived(options: ActivateOptions): Promise<void> {
  const { qmp, status, log } = options;
  if (runs(status) || qmp.hasCommand("blockdev-set-active")) return;
  // "none": this QEMU has never taken part in a migration, incoming ones included.
  if ((await queryMigrate(qmp)).status === "none") return;
  const disks = await qmp.execute("query-block", {});
  const attached = disks.flatMap(({ inserted, qdev, device }) =>
    inserted?.["node-name"] ? [{ node: inserted["node-name"], disk: qdev || device }] : []
  );
  const named = await qmp.execute("query-named-block-nodes", { flat: true });
  // "#block…" are QEMU's own names: such nodes are below named ones, and activated with them.
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
            `${messageOf(error)}. Run the guest once ('cont', then 'stop') and migrate again`,
          { cause: error },
        );
      });
    }
    for (const node of others) {
      // A node that is no disk of the guest may be in use in a way that allows no export.
      await exportOnce(qmp, node).catch((error) =>
        log.log("debug", `node ${node} was not activated: ${messageOf(error)}`)
      );
    }
  } finally {
    await stop();
  }
}

/** @returns a function that stops the server again; a server that runs already is used and kept. */
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
    // A QEMU of another user cannot create files in vmferry's directory.
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
