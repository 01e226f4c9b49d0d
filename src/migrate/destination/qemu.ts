import type { Clock, Logger } from "../../io/mod.ts";
import { MigrationSettings, type QmpClient, QmpCommandError } from "../../qmp/mod.ts";
import type { ChannelServer } from "../../rpc/mod.ts";
import { MigrationError } from "../errors.ts";
import type { DestinationRecord } from "../journal.ts";
import { lazyPipe } from "../disks/lazy_pipe.ts";
import { addExports, type NbdExport, removeExports, startNbdServer } from "../disks/nbd_exports.ts";
import type { HostAccess, RunDir } from "../storage/access.ts";
import { removeLeft } from "../storage/temporary_exports.ts";
import { ONE_STREAM, PLAIN } from "../settings.ts";
import type { DiskPair } from "../disks/plan.ts";
import type { UndoList } from "../undo.ts";

export interface IncomingEndOptions {
  readonly qmp: QmpClient;
  readonly runDir: RunDir;
  readonly host: Pick<HostAccess, "connectUnix" | "removeFile">;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Everything that a destination makes in its QEMU to receive a guest: settings, the NBD server with its
 * exports, and the incoming migration, both on sockets in the run directory. Each goes on the undo list
 * before it is made, so that a command without an answer is undone too.
 */
export class IncomingEnd {
  readonly #options: IncomingEndOptions;
  readonly #undo: UndoList;
  #channels: ChannelServer | undefined;
  /** QEMU's NBD server is ours, or may be. */
  #hasServer = true;

  constructor(options: IncomingEndOptions, undo: UndoList) {
    this.#options = options;
    this.#undo = undo;
  }

  /** Reads the current settings and plans those of an incoming migration. Sets nothing. */
  async plan(): Promise<MigrationSettings> {
    const settings = new MigrationSettings(this.#options.qmp);
    await settings.plan({
      capabilities: { ...ONE_STREAM, events: true, "late-block-activate": true },
      parameters: PLAIN,
    });
    return settings;
  }

  /**
   * Sets the settings, starts the NBD server, exports each disk.
   *
   * @throws {MigrationError} kind `refused`, when QEMU does not start its NBD server.
   * @throws {QmpCommandError} when QEMU refuses an export.
   */
  async make(
    settings: MigrationSettings,
    pairs: readonly DiskPair[],
    exports: readonly NbdExport[],
  ): Promise<void> {
    this.#undoSettings(settings);
    await settings.set();
    const { qmp } = this.#options;
    this.#undoExports(exports);
    await removeLeft(qmp, this.#options);
    await startNbdServer(qmp, this.#nbdPath).catch((error) => {
      // Refused: the server belongs to somebody else, so never stop it. No answer: it may be ours.
      if (error instanceof MigrationError) this.#hasServer = false;
      throw error;
    });
    await addExports(qmp, pairs, exports);
  }

  /** Puts everything that a killed process has made, by its journal, on the undo list. */
  resume({ settings, exports, incomingStarted }: DestinationRecord): void {
    this.#undoSettings(new MigrationSettings(this.#options.qmp, settings));
    this.#undoExports(exports);
    if (incomingStarted) this.#undoIncoming();
  }

  /**
   * Offers both sockets as the channels `nbd` and `ram`, to this source alone.
   *
   * @param startIncoming called before the first byte of RAM crosses.
   */
  serveOn(channels: ChannelServer, startIncoming: () => Promise<void>): void {
    this.#channels = channels;
    const { connectUnix } = this.#options.host;
    channels.serve("nbd", () => connectUnix(this.#nbdPath));
    const dialRam = async () => {
      await startIncoming();
      return lazyPipe(() => connectUnix(this.#ramPath));
    };
    // Keep this queue short: whatever is in it when the guest is paused adds to the downtime.
    channels.serve("ram", dialRam, { narrow: true });
  }

  /** Has QEMU listen for the RAM stream, by `migrate-incoming`. */
  async startIncoming(): Promise<void> {
    this.#undoIncoming();
    const { qmp } = this.#options;
    const uri = `unix:${this.#ramPath}`;
    try {
      // Since QEMU 9.1: a broken stream does not end QEMU, and `query-migrate` gives the reason.
      await qmp.execute("migrate-incoming", { uri, "exit-on-error": false });
    } catch (error) {
      if (!(error instanceof QmpCommandError)) throw error;
      await qmp.execute("migrate-incoming", { uri });
    }
  }

  get #nbdPath(): string {
    return this.#options.runDir.path("nbd.sock");
  }

  get #ramPath(): string {
    return this.#options.runDir.path("ram.sock");
  }

  #undoSettings(settings: MigrationSettings): void {
    this.#undo.add("QEMU's migration settings", () => settings.restore());
  }

  #undoExports(exports: readonly NbdExport[]): void {
    const { qmp, host, clock, log } = this.#options;
    const cut = async () => await this.#channels?.cut();
    this.#undo.add("the NBD server's socket", () => host.removeFile(this.#nbdPath));
    this.#undo.add("the connections to it", cut);
    this.#undo.add("the NBD server and its exports", async () => {
      if (this.#hasServer) await removeExports(qmp, exports, { cut, clock, log });
    });
  }

  #undoIncoming(): void {
    this.#undo.add("the migration socket", () => this.#options.host.removeFile(this.#ramPath));
  }
}
