import { hashBlocks, type Range } from "../../delta/mod.ts";
import type { BlockHashes } from "../../delta/mod.ts";
import type { NbdReader } from "../../nbd/mod.ts";
import { type QmpClient, QmpCommandError } from "../../qmp/mod.ts";
import { idsOfNbdExports, stopNbdServer } from "../disks/nbd_exports.ts";
import { isMigrating } from "../guest/inspect.ts";
import type { StorageAccess } from "../storage/access.ts";
import { ExportsInUseError } from "../storage/left_exports.ts";
import { canExportOwn, TemporaryExports } from "../storage/temporary_exports.ts";

/** The reason for a refusal of a QEMU that could not stand the end of a killed vmferry. */
export const NO_OWN_EXPORT =
  "--verify reads the guest's disks through an export, and with iothreads this version of QEMU " +
  "(before 10.0) ends with the guest if vmferry is killed meanwhile. Leave out --verify";

/**
 * Why a source's QEMU cannot export its disks for a comparison, a sentence each. Starts and stops QEMU's NBD
 * server to find out.
 *
 * @param access its `socketPath` may be empty: then nothing is started.
 */
export async function verifyProblems(access: StorageAccess): Promise<string[]> {
  if (!await canExportOwn(access.qmp)) return [NO_OWN_EXPORT];
  // The server is that of the migration that runs, which is a problem of its own.
  if (access.socketPath === "" || await isMigrating(access.qmp)) return [];
  try {
    await using _ = await TemporaryExports.start(access);
    return [];
  } catch (error) {
    if (error instanceof ExportsInUseError) return [error.message];
    if (!(error instanceof QmpCommandError)) throw error;
    return [serverInUse(error)];
  }
}

function serverInUse(error: QmpCommandError): string {
  return `--verify needs the NBD server of QEMU, which does not start: ${error.message}. If somebody ` +
    "uses it, end it with the QMP command nbd-server-stop, or leave out --verify";
}

/** Read-only exports of the guest's disks in the source's QEMU, and vmferry's connections to them. */
export class OwnExports implements AsyncDisposable {
  readonly #exports: TemporaryExports;
  readonly #readers = new Map<string, NbdReader>();
  /** The last work on each disk. Never rejects. */
  readonly #last = new Map<string, Promise<unknown>>();

  /**
   * Starts QEMU's NBD server and exports these nodes. Removes what a killed process left first.
   *
   * @param isOurs a server without exports is one that a killed process has started.
   * @throws {QmpCommandError} when QEMU refuses.
   */
  static async start(
    access: StorageAccess,
    disks: readonly { readonly name: string; readonly device: string }[],
    isOurs: boolean,
  ): Promise<OwnExports> {
    if (isOurs) await stopIdleServer(access.qmp, access.log);
    const own = new OwnExports(await TemporaryExports.start(access));
    try {
      for (const { name, device } of disks) {
        own.#readers.set(name, await own.#exports.open({ node: device }));
      }
      return own;
    } catch (error) {
      await own[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(exports: TemporaryExports) {
    this.#exports = exports;
  }

  /**
   * Hashes blocks of a disk, once the earlier work on it is done.
   *
   * @throws {NbdDeviceError | NbdError} as the export; the signal's reason.
   */
  hash(disk: string, range: Range, signal: AbortSignal): Promise<BlockHashes> {
    return this.#use(disk, (reader) => hashBlocks(reader, range), signal);
  }

  /** Reads bytes of a disk. Throws as {@link hash}. */
  read(disk: string, { offset, length }: Range, signal: AbortSignal): Promise<Uint8Array> {
    return this.#use(disk, (reader) => reader.read(offset, length), signal);
  }

  /** Stops the server and removes all exports with one command: the guest is paused meanwhile. */
  async stop(): Promise<void> {
    await this.#exports.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#exports[Symbol.asyncDispose]();
  }

  #use<T>(
    disk: string,
    work: (reader: NbdReader) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const before = this.#last.get(disk) ?? Promise.resolve();
    const result = before.then(async () => {
      signal.throwIfAborted();
      return await work(this.#readers.get(disk)!);
    });
    this.#last.set(disk, result.catch(() => {}));
    return result;
  }
}

/** Stops an NBD server that serves nothing, which a killed process has started before its first export. */
export async function stopIdleServer(
  qmp: QmpClient,
  log: StorageAccess["log"],
): Promise<void> {
  if ((await idsOfNbdExports(qmp)).length > 0) return;
  await stopNbdServer(qmp, log);
}
