import type { BytePipe, Clock, Logger } from "../../io/mod.ts";
import { MigrationSettings, type QmpClient, QmpCommandError } from "../../qmp/mod.ts";
import type { ChannelServer } from "../../rpc/mod.ts";
import { MigrationError } from "../errors.ts";
import type { DestinationRecord } from "../journal.ts";
import { lazyPipe } from "../disks/lazy_pipe.ts";
import { addExports, type NbdExport, removeExports, startNbdServer } from "../disks/nbd_exports.ts";
import { removeLeft } from "../storage/temporary_exports.ts";
import { ONE_STREAM, PLAIN } from "../settings.ts";
import type { DiskPair } from "../disks/plan.ts";
import type { RunDir } from "../source/options.ts";
import type { UndoList } from "../undo.ts";

export interface IncomingEndOptions {
  readonly qmp: QmpClient;
  readonly runDir: RunDir;
  readonly connectUnix: (path: string) => Promise<BytePipe>;
  readonly removeFile: (path: string) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * What a destination makes in its QEMU for a guest to come in: the NBD server with its exports, the
 * incoming migration, both on sockets in the run directory, and settings. How each is taken back
 * goes on the undo list before it is made.
 */
export class IncomingEnd {
  readonly #options: IncomingEndOptions;
  readonly #undo: UndoList;
  #channels: ChannelServer | undefined;
  /** QEMU's NBD server is ours, as far as is known. */
  #hasServer = true;

  constructor(options: IncomingEndOptions, undo: UndoList) {
    this.#options = options;
    this.#undo = undo;
  }

  /** The settings that an incoming migration needs, and those of before; nothing is set yet. */
  async plan(): Promise<MigrationSettings> {
    const settings = new MigrationSettings(this.#options.qmp);
    await settings.plan({
      capabilities: { ...ONE_STREAM, events: true, "late-block-activate": true },
      parameters: PLAIN,
    });
    return settings;
  }

  /** Sets the settings, starts the NBD server, exports each disk. */
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
      // One that is there is not ours to stop; without an answer it may be ours.
      if (error instanceof MigrationError) this.#hasServer = false;
      throw error;
    });
    await addExports(qmp, pairs, exports);
  }

  /** What another process has made is taken back as if it had been made here. */
  takeUp({ settings, exports, incomingStarted }: DestinationRecord): void {
    this.#undoSettings(new MigrationSettings(this.#options.qmp, settings));
    this.#undoExports(exports);
    if (incomingStarted) this.#undoIncoming();
  }

  /**
   * Makes both sockets reachable by the source of these channels, and by no other from now on.
   *
   * @param startIncoming called when the memory is about to come.
   */
  serveOn(channels: ChannelServer, startIncoming: () => Promise<void>): void {
    this.#channels = channels;
    const { connectUnix } = this.#options;
    channels.serve("nbd", () => connectUnix(this.#nbdPath));
    const dialRam = async () => {
      await startIncoming();
      return lazyPipe(() => connectUnix(this.#ramPath));
    };
    // What of it has not been loaded when the guest is stopped is what the guest waits for.
    channels.serve("ram", dialRam, { narrow: true });
  }

  /** Has QEMU wait for the memory. */
  async startIncoming(): Promise<void> {
    this.#undoIncoming();
    const { qmp } = this.#options;
    const uri = `unix:${this.#ramPath}`;
    try {
      // From QEMU 9.1 on: a broken stream does not end the process, and its reason can be read.
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
    const { qmp, removeFile, clock, log } = this.#options;
    const cut = async () => await this.#channels?.cut();
    this.#undo.add("the NBD server's socket", () => removeFile(this.#nbdPath));
    this.#undo.add("the connections to it", cut);
    this.#undo.add("the NBD server and its exports", async () => {
      if (this.#hasServer) await removeExports(qmp, exports, { cut, clock, log });
    });
  }

  #undoIncoming(): void {
    this.#undo.add("the migration socket", () => this.#options.removeFile(this.#ramPath));
  }
}
