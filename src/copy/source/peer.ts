import type { Clock } from "../../io/mod.ts";
import { isErrorCode, MigrationError, refusalOf } from "../../migrate/mod.ts";
import { NbdClient } from "../../nbd/mod.ts";
import {
  type CopyImage,
  openChannel,
  type Params,
  type Result,
  RpcError,
  RpcPeer,
} from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import type { CopyHost } from "../host.ts";

/** How long the destination may take to create the images, ms. */
const PREPARE_MS = 180_000;
/** How long it may take to close them and to name them, ms: everything goes to stable storage. */
const FINISH_MS = 300_000;
/** How long a note may take, ms. */
const NOTE_MS = 30_000;
/** How long it may take to hash a page, ms: a slow disk takes seconds for 16 MiB. */
const HASH_MS = 60_000;
/** How long it may take to undo everything, ms. */
const ABORT_MS = 60_000;

const NO_COPY =
  "The destination takes no copy. Start 'vmferry receive --copy' there, of this version or a later one";

const NO_HASHES = "The destination's vmferry is older and knows neither --delta nor --verify for " +
  "copies. Install this version there, or leave them out";

/** The destination's end, as the source calls it. */
export class CopyPeer {
  /** The session that carries all of it. */
  readonly session: Session;
  readonly #rpc: RpcPeer;
  readonly #clock: Clock;
  readonly #copy = crypto.randomUUID();

  /** Uses a session; its owner closes it. */
  constructor(session: Session, { clock, log }: CopyHost) {
    this.session = session;
    this.#clock = clock;
    this.#rpc = new RpcPeer(session.rpc, {
      ...{ clock, log, handlers: {} },
      onFault: (error) => session.abort(error.message, "protocol-error"),
    });
  }

  /**
   * Has the destination create the images.
   *
   * @throws {MigrationError} kind `refused` with every problem that it has found.
   */
  async prepare(
    images: CopyImage[],
    resume: boolean,
    signal: AbortSignal,
  ): Promise<{ begun: Result<"prepareCopy">["images"]; warnings: readonly string[] }> {
    const params = { copy: this.#copy, images, resume };
    const answer = await this.#rpc.call("prepareCopy", params, this.#patience(PREPARE_MS, signal))
      .catch((error) => {
        if (!(error instanceof RpcError && error.code === "unknown-procedure")) throw error;
        throw new MigrationError("refused", "unknown-procedure", "destination", NO_COPY);
      });
    const { problems, images: begun, warnings } = answer;
    if (problems.length > 0) {
      throw refusalOf(problems.map(({ code, message }) => ({
        ...{ message, side: "destination" as const },
        code: isErrorCode(code) ? code : "peer-error" as const,
      })));
    }
    return { begun, warnings };
  }

  /**
   * Checks that the destination can hash images; changes nothing there.
   *
   * @throws {MigrationError} kind `refused` when it cannot.
   */
  async requireHashes(signal: AbortSignal): Promise<void> {
    try {
      // There is no image yet: an end that knows the call says so.
      await this.hashBlocks({ disk: "", offset: 0, length: 1 }, signal);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      if (error.code !== "unknown-procedure") return;
      throw new MigrationError("refused", "unknown-procedure", "destination", NO_HASHES);
    }
  }

  /** Hashes the blocks of a range of the image behind a channel. */
  async hashBlocks(
    params: Params<"hashBlocks">,
    signal: AbortSignal,
  ): Promise<Result<"hashBlocks">> {
    return await this.#rpc.call("hashBlocks", params, this.#patience(HASH_MS, signal));
  }

  /** Opens the image behind a channel for writing. */
  async open(channel: string, signal: AbortSignal): Promise<NbdClient> {
    const stream = await openChannel(this.session, this.#rpc, channel, signal);
    stream.widenWindow();
    const timeoutMs = NOTE_MS + this.session.patienceMs;
    return await NbdClient.open(stream, "", { clock: this.#clock, timeoutMs });
  }

  /** Notes how much is on stable storage there. */
  async note(channel: string, doneBytes: number): Promise<void> {
    await this.#rpc.call(
      "noteCopy",
      { copy: this.#copy, channel, doneBytes },
      this.#patience(NOTE_MS),
    );
  }

  /** Has the destination give the images their names. */
  async finish(signal: AbortSignal): Promise<Result<"finishCopy">["images"]> {
    const params = { copy: this.#copy };
    return (await this.#rpc.call("finishCopy", params, this.#patience(FINISH_MS, signal))).images;
  }

  /** Has the destination undo everything. Never rejects: where it does not answer, it does so by itself. */
  async abort({ message, kind, code, side }: MigrationError): Promise<void> {
    if (this.session.state === "ended") return;
    const why = { reason: message.slice(0, 4096), cancelled: kind === "cancelled", code, side };
    await this.#rpc.call("abort", why, { timeoutMs: ABORT_MS }).catch(() => {});
  }

  /** Waits for the end of what it does; the session must have ended. */
  async join(): Promise<void> {
    await this.#rpc.join();
  }

  #patience(ms: number, signal?: AbortSignal) {
    const { session } = this;
    return {
      timeoutMs: ms + session.patienceMs,
      progress: () => session.progress,
      ...(signal ? { signal } : {}),
    };
  }
}
