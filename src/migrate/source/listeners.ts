import { type Clock, type Logger, withDeadline } from "../../io/mod.ts";
import { ChannelListener, type OpenStream } from "../../rpc/mod.ts";
import { SessionError, type splice } from "../../tunnel/mod.ts";
import type { DestinationLink } from "./destination_link.ts";
import { drainingChannels } from "../disks/draining_channels.ts";
import { closingLate } from "../disks/closing_late.ts";
import { MigrationError } from "../errors.ts";
import type { FreezeWatch } from "../guest/freeze_watch.ts";
import type { Connections } from "../disks/mirror_retry.ts";
import type { SourceOptions } from "./options.ts";

/** The migration, as far as its sockets need it. */
export interface ListenersContext {
  readonly options: Pick<SourceOptions, "listen" | "runDir">;
  /** `undefined` until it is connected. */
  readonly destination: DestinationLink | undefined;
  /** RAM crosses: a target that is cut off now cannot be connected again. */
  readonly ramCrosses: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  fault(reason: unknown): void;
}

/** How long a connection stays open after its stream has ended, ms, unless the targets are cut earlier. */
const CLOSE_MS = 2_000;

/**
 * The sockets in the run directory that the source's QEMU connects to: `nbd` for its mirrors, `ram`
 * for its RAM. The caller owns each listener.
 */
export class Listeners {
  readonly #context: ListenersContext;
  readonly #silence: Pick<FreezeWatch, "silent">;
  readonly #ramMayClose: () => Promise<void>;
  /** Takes the connections of QEMU's mirrors. */
  #targets: ChannelListener | undefined;
  /** Resolves when nothing in QEMU waits for the mirrors' targets any more. */
  readonly #targetsCut = Promise.withResolvers<void>();

  #answersTargets = false;

  /**
   * @param silence whether the connection carries nothing, found dead or not.
   * @param ramMayClose resolves when RAM's main connection may be closed.
   */
  constructor(
    context: ListenersContext,
    silence: Pick<FreezeWatch, "silent">,
    ramMayClose: () => Promise<void>,
  ) {
    this.#context = context;
    this.#ramMayClose = ramMayClose;
    this.#silence = silence;
  }

  /** The connections of the mirrors' targets. */
  get targets(): Connections {
    const { count, active } = this.#targets ?? { count: 0, active: 0 };
    return {
      lost: count - active,
      open: active,
      away: this.#isAway || this.#silence.silent,
    };
  }

  /** Fails the targets' requests, so that no guest waits for them. QEMU connects the targets again. */
  cutTargets(): void {
    this.#targets?.cutJoined();
  }

  /** The connection is known to be down, or the destination's tool to have ended; either may come back. */
  get #isAway(): boolean {
    const { destination } = this.#context;
    return destination?.waiting === true || destination?.peer?.session.state === "down";
  }

  /** Nothing in QEMU waits for the mirrors' targets any more: closes their connections once they end. */
  targetsAreCut(): void {
    this.#targetsCut.resolve();
  }

  /**
   * Answers QEMU's flush of each target here. The mirrors have ended, and the destination's QEMU has stopped
   * its NBD server. QEMU 11.1 reports an error when the flush fails with which it closes a target.
   */
  answerTargets(): void {
    this.#answersTargets = true;
  }

  /**
   * Listens at `CHANNEL.sock`, and joins each connection to a stream that `open` makes.
   *
   * @param join default: the same bytes on both.
   */
  async serve(
    channel: "nbd" | "ram",
    open: OpenStream,
    join?: typeof splice,
  ): Promise<ChannelListener> {
    const { listen, runDir } = this.#context.options;
    const bound = await listen(runDir.path(`${channel}.sock`));
    const acceptor = channel === "nbd"
      ? closingLate(bound, {
        mayClose: () => this.#mayClose(),
        answersHere: () => this.#answersTargets,
      })
      : drainingChannels(bound, this.#ramMayClose);
    const listener = new ChannelListener(acceptor, channel, {
      open: async (name, signal) => {
        try {
          return await open(name, signal);
        } catch (error) {
          if (!signal.aborted) await this.#failedToOpen(error);
          throw error;
        }
      },
      log: this.#context.log,
      ...(join ? { join } : {}),
      onEnd: ({ error }) => {
        // The end of a session is a fault of its own, or another session has replaced it.
        if (channel !== "nbd" || error instanceof SessionError) return;
        if (this.#context.ramCrosses) this.#context.fault(error ?? diskClosed());
      },
    });
    if (channel === "nbd") this.#targets = listener;
    return listener;
  }

  async #failedToOpen(error: unknown): Promise<void> {
    const session = this.#context.destination?.peer?.session;
    // The stream ends before the connection knows whether another session replaces this one.
    if (session?.state === "ended") await session.ended;
    // QEMU only sees a closed socket; this is the reason for it. While the connection reconnects, QEMU tries
    // again, and there is no fault.
    if (this.#context.destination?.waiting !== true) this.#context.fault(error);
  }

  /**
   * Resolves when a connection of QEMU's NBD client may be closed: once QEMU does not wait for the server any
   * more, or at once where it must wait, for a connection or a destination's tool that may come back.
   */
  async #mayClose(): Promise<void> {
    const session = this.#context.destination?.peer?.session;
    // The streams end before the connection knows whether another session replaces this one.
    if (session?.state === "ended") await session.ended;
    if (this.#isAway) return;
    const { clock } = this.#context;
    await withDeadline(clock, CLOSE_MS, "the targets to be cut off", this.#targetsCut.promise)
      .catch(() => {});
  }
}

function diskClosed(): MigrationError {
  const message = "The NBD server closed the connection of a disk";
  return new MigrationError("failed", "disk-connection-closed", "destination", message);
}
