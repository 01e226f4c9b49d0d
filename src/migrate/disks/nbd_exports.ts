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

/**
 * Starts QEMU's NBD server on a UNIX socket.
 *
 * @throws {MigrationError} kind `refused`, in QEMU's words: it has one already, for one.
 */
export async function startNbdServer(qmp: QmpClient, path: string): Promise<void> {
  try {
    await qmp.execute("nbd-server-start", {
      addr: { type: "unix", data: { path } },
      // As many as there are disks: newer QEMUs take 100 by default.
      "max-connections": 0,
    });
  } catch (error) {
    if (!(error instanceof QmpCommandError)) throw error;
    const help = /already/i.test(error.message)
      ? "the one that is in use ends with the QMP command nbd-server-stop"
      : "a QEMU of another user wants --socket-owner USER, a confined one what docs/security.md says";
    const message = `QEMU does not start its NBD server: ${error.message}; ${help}`;
    throw new MigrationError("refused", "nbd-server", "destination", message, { cause: error });
  }
}

/** One writable export a disk. */
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

/** Which of the exports QEMU has now. */
export async function exportsInQemu(
  qmp: QmpClient,
  exports: readonly NbdExport[],
): Promise<NbdExport[]> {
  const now = await qmp.execute("query-block-exports", {});
  return exports.filter(({ id }) => now.some((e) => e.id === id));
}

/** How often QEMU is asked at least whether it is rid of its connections. */
const LEAST_LOOKS = 3;
/** Pause between two looks, ms: at first, and from this many on. */
const LOOK_MS = 20;
const SLOW_LOOK_MS = 250;
const QUICK_LOOKS = 100;
/**
 * How long QEMU may take to be rid of its exports, ms: it waits for what is being written to their disks.
 * Less than one step of undoing, so that what is left is named.
 */
const REMOVE_MS = 25_000;

export interface RemoveOptions {
  /** Closes our end of the connections to the server. */
  readonly cut: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Removes the exports with the connections to them, then stops the NBD server, unless it has exports of
 * somebody else's. Whoever is connected to an export must not leave before it is removed: where its disk
 * has an iothread, QEMU 7.2.22 as Debian has it fails an assertion then. And QEMU 7.2 stands still in
 * nbd-server-stop for a connection that is in its negotiation, which only its main loop can end: so our
 * end of all connections is closed before, and that loop has had its turns.
 *
 * @throws {Error} when QEMU keeps an export.
 */
export async function removeExports(
  qmp: QmpClient,
  exports: readonly NbdExport[],
  options: RemoveOptions,
): Promise<void> {
  await removeAll(qmp, exports, 1, options);
  await options.cut();
  await removeAll(qmp, exports, LEAST_LOOKS, options);
  if ((await qmp.execute("query-block-exports", {})).length > 0) return;
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
    // One that is being added right now comes in between.
    const left = await exportsInQemu(qmp, exports);
    if (left.length === 0 && look >= leastLooks) return;
    if (clock.now() > until) {
      const names = left.map(({ disk }) => disk).join(", ");
      throw new Error(
        `QEMU still has the exports of ${names}: their disks have not answered for ${
          REMOVE_MS / 1000
        } s`,
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

/** Stops the NBD server, which ends its exports. Tolerates that it is gone. */
export async function stopNbdServer(qmp: QmpClient, log: Logger): Promise<void> {
  try {
    await qmp.execute("nbd-server-stop", {});
  } catch (error) {
    if (!(error instanceof QmpCommandError)) throw error;
    log.log("debug", `nbd-server-stop: ${error.message}`);
  }
}
