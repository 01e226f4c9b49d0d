import type { Clock, Logger } from "../../io/mod.ts";
import { MigrationSettings, type QmpClient, QmpCommandError } from "../../qmp/mod.ts";
import type { ChannelServer } from "../../rpc/mod.ts";
import { MigrationError } from "../errors.ts";
import type { DestinationRecord } from "../journal.ts";
import { addExports, type NbdExport, removeExports, startNbdServer } from "../disks/nbd_exports.ts";
import type { HostAccess, RunDir } from "../storage/access.ts";
import { removeComparison } from "../storage/left_exports.ts";
import { type AgreedRam, multifdSettings, ramStreams } from "../multifd.ts";
import { ONE_STREAM, PLAIN } from "../settings.ts";
import { postcopyCapabilities } from "../postcopy/mod.ts";
import { ExportReaders } from "./export_readers.ts";
import { RamStreams } from "./ram_streams.ts";
import type { DiskPair } from "../disks/plan.ts";
import type { UndoList } from "../undo.ts";

export interface IncomingEndOptions {
  readonly qmp: QmpClient;
  readonly runDir: RunDir;
  readonly host: Pick<HostAccess, "connectUnix" | "removeFile" | "processes">;
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
  readonly #readers: ExportReaders;
  /** QEMU's NBD server is ours, or may be. */
  #hasServer = true;

  constructor(options: IncomingEndOptions, undo: UndoList) {
    this.#options = options;
    this.#undo = undo;
    this.#readers = new ExportReaders(() => options.host.connectUnix(this.#nbdPath));
  }

  /** Reads the current settings and plans those of an incoming migration. Sets nothing. */
  async plan({ multifd, postcopy }: AgreedRam): Promise<MigrationSettings> {
    const settings = new MigrationSettings(this.#options.qmp);
    const { capabilities, parameters } = multifdSettings(multifd);
    await settings.plan({
      capabilities: { ...ONE_STREAM, ...capabilities, ...postcopyCapabilities(postcopy) },
      parameters: { ...PLAIN, ...parameters },
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
    await removeComparison(qmp, "destination", { ...this.#options, ...this.#options.host });
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
   * @param agreed how RAM crosses.
   * @param startIncoming called before the first byte of RAM crosses.
   */
  serveOn(
    channels: ChannelServer,
    agreed: AgreedRam,
    startIncoming: () => Promise<void>,
  ): void {
    this.#channels = channels;
    const { connectUnix } = this.#options.host;
    channels.serve("nbd", () => connectUnix(this.#nbdPath));
    const ram = new RamStreams({
      ...{ count: ramStreams(agreed), begin: startIncoming },
      // QEMU waits for its stream of urgent pages before the first of them.
      atOnce: agreed.postcopy !== null,
      connect: () => connectUnix(this.#ramPath),
    });
    // Keep this queue short: whatever is in it when the guest is paused adds to the downtime. QEMU loads the
    // streams of multifd in threads of their own, which do not delay the last writes to the disks.
    channels.serve("ram", () => ram.dial(), { narrow: agreed.multifd === null });
  }

  /** Connections of vmferry's own to what QEMU exports, beside the mirror. */
  get readers(): Pick<ExportReaders, "use"> {
    return this.#readers;
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

  /**
   * Has QEMU wait for RAM again, whose connection was lost in post-copy (`migrate-recover`, out of band), and
   * offers it to this source alone. Repeatable.
   *
   * @throws {QmpCommandError} when QEMU does not accept it.
   */
  async recover(channels: ChannelServer): Promise<void> {
    const { qmp, host } = this.#options;
    await host.removeFile(this.#ramPath);
    await qmp.execute("migrate-recover", { uri: `unix:${this.#ramPath}` }, { oob: true });
    this.serveRamAgain(channels);
  }

  /** Offers RAM's socket, at which QEMU waits, to this source alone. */
  serveRamAgain(channels: ChannelServer): void {
    const { connectUnix } = this.#options.host;
    channels.serve("ram", () => connectUnix(this.#ramPath), { narrow: true });
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
    const cut = async () => {
      this.#readers.close();
      await this.#channels?.cut();
    };
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
