import { type Clock, delay, type Logger } from "../../io/mod.ts";
import { type QmpClient, QmpCommandError } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
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
 * Names for the exports of these disks. The nonce keeps a mirror from continuing with another QEMU
 * process than the one that it began with.
 *
 * @param nonce eight characters that no earlier run has used.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { nameExports } from "./nbd_exports.ts";
 *
 * assertEquals(nameExports([{ name: "vd0" }], "0badcafe"), [
 *   { disk: "vd0", exportName: "vd0-0badcafe", id: "vmferry-0badcafe-0" },
 * ]);
 * ```
 */
export function nameExports(
  pairs: readonly Pick<DiskPair, "name">[],
  nonce: string = crypto.randomUUID().slice(0, 8),
): NbdExport[] {
  return pairs.map(({ name }, i) => ({
    disk: name,
    exportName: `${name}-${nonce}`,
    id: `vmferry-${nonce}-${i}`,
  }));
}

/**
 * Starts the NBD server of the destination's QEMU on a UNIX socket (`nbd-server-start`, QEMU 1.3).
 *
 * @param path of the socket, which QEMU creates.
 * @throws {MigrationError} kind `refused`, code `nbd-server`, such as when QEMU already has a server.
 */
export async function startNbdServer(qmp: QmpClient, path: string): Promise<void> {
  try {
    await qmp.execute("nbd-server-start", {
      addr: { type: "unix", data: { path } },
      // No limit: by default newer QEMUs accept 100 connections, and there may be more disks.
      "max-connections": 0,
    });
  } catch (error) {
    if (!(error instanceof QmpCommandError)) throw error;
    const help = /already/i.test(error.message)
      ? "End the running server with the QMP command nbd-server-stop and try again"
      : "If QEMU runs as another user, add --socket-owner USER; if it is confined, see docs/security.md";
    const message = `QEMU does not start its NBD server: ${error.message}. ${help}`;
    throw new MigrationError("refused", "nbd-server", "destination", message, { cause: error });
  }
}

/**
 * Adds one writable export per disk (`block-export-add`, QEMU 5.2).
 *
 * @param exports one for each of `pairs`, in the same order.
 * @throws {QmpCommandError} when QEMU rejects one; the earlier ones stay.
 */
export async function addExports(
  qmp: QmpClient,
  pairs: readonly DiskPair[],
  exports: readonly NbdExport[],
): Promise<void> {
  for (const [i, { local }] of pairs.entries()) {
    const { id, exportName: name } = exports[i]!;
    await qmp.execute("block-export-add", {
      ...{ type: "nbd", id, "node-name": local.nodeName, name, writable: true },
    });
  }
}

/** The exports among `exports` that QEMU has now (`query-block-exports`, QEMU 5.2). */
export async function exportsInQemu(
  qmp: QmpClient,
  exports: readonly NbdExport[],
): Promise<NbdExport[]> {
  const now = await qmp.execute("query-block-exports", {});
  return exports.filter(({ id }) => now.some((e) => e.id === id));
}

/**
 * Ids of all exports of QEMU's NBD server, also those of other programs (`query-block-exports`, QEMU 5.2). Exports of
 * other types, such as FUSE, do not use it.
 */
export async function idsOfNbdExports(qmp: QmpClient): Promise<string[]> {
  const exports = await qmp.execute("query-block-exports", {});
  return exports.filter(({ type = "nbd" }) => type === "nbd").map(({ id }) => id);
}

/** Least number of looks at QEMU's exports once their connections are closed. */
const LEAST_LOOKS = 3;
/** Time between two looks, ms: for the first QUICK_LOOKS, and after that. */
const LOOK_MS = 20;
const SLOW_LOOK_MS = 250;
const QUICK_LOOKS = 100;
/**
 * How long QEMU may take to remove its exports, ms: it waits for writes to their disks. Shorter than one
 * undo step, so that the error names the remaining disks.
 */
const REMOVE_MS = 25_000;

export interface RemoveOptions {
  /** Closes vmferry's connections to the server. */
  readonly cut: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Removes the exports with the connections to them, then stops the NBD server, unless it has exports that
 * are not vmferry's.
 *
 * The order matters. A client must not disconnect before its export is removed: for a disk with an
 * iothread, QEMU 7.2.22 of Debian then fails an assertion. QEMU 7.2 also hangs in `nbd-server-stop`
 * while a connection negotiates, which only its main loop can end. So vmferry closes all connections
 * first and lets that loop run.
 *
 * @throws {Error} when QEMU keeps an export for 25 s, naming the disks.
 * @throws {QmpError | QmpCommandError} when a query fails.
 */
export async function removeExports(
  qmp: QmpClient,
  exports: readonly NbdExport[],
  options: RemoveOptions,
): Promise<void> {
  await removeAll(qmp, exports, 1, options);
  await options.cut();
  await removeAll(qmp, exports, LEAST_LOOKS, options);
  if ((await idsOfNbdExports(qmp)).length > 0) return;
  await stopNbdServer(qmp, options.log);
}

async function removeAll(
  qmp: QmpClient,
  exports: readonly NbdExport[],
  leastLooks: number,
  { clock, log }: RemoveOptions,
): Promise<void> {
  const until = clock.now() + REMOVE_MS;
  for (let look = 1;; look++) {
    // An export that QEMU is still adding can appear between two queries.
    const left = await exportsInQemu(qmp, exports);
    if (left.length === 0 && look >= leastLooks) return;
    if (clock.now() > until) {
      const names = left.map(({ disk }) => disk).join(", ");
      throw new Error(
        `The destination's QEMU still has the exports of ${names} after ${REMOVE_MS / 1000} s: ` +
          "their storage does not answer",
      );
    }
    await Promise.all(left.map(({ id }) => removeExport(qmp, id, log)));
    await delay(clock, look < QUICK_LOOKS ? LOOK_MS : SLOW_LOOK_MS);
  }
}

async function removeExport(qmp: QmpClient, id: string, log: Logger): Promise<void> {
  try {
    await qmp.execute("block-export-del", { id, mode: "hard" });
  } catch (error) {
    if (!(error instanceof QmpCommandError)) throw error;
    log.log("debug", `block-export-del: ${error.message}`);
  }
}

/** Stops the NBD server and its exports (`nbd-server-stop`). Tolerates a server that is gone. */
export async function stopNbdServer(qmp: QmpClient, log: Logger): Promise<void> {
  try {
    await qmp.execute("nbd-server-stop", {});
  } catch (error) {
    if (!(error instanceof QmpCommandError)) throw error;
    log.log("debug", `nbd-server-stop: ${error.message}`);
  }
}
