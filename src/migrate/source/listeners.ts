import { type Clock, type Logger, withDeadline } from "../../io/mod.ts";
import { ChannelListener, type OpenStream } from "../../rpc/mod.ts";
import { SessionError } from "../../tunnel/mod.ts";
import type { DestinationLink } from "./destination_link.ts";
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

/** How long a connection whose stream has ended is kept from being closed, ms. */
const CLOSE_MS = 2_000;

/**
 * The sockets in the run directory that the source's QEMU connects to: `nbd` for its mirrors, `ram`
 * for its RAM. The caller owns each listener.
 */
export class Listeners {
  readonly #context: ListenersContext;
  readonly #silence: Pick<FreezeWatch, "silent">;
  /** Takes the connections of QEMU's mirrors. */
  #targets: ChannelListener | undefined;
  /** Resolves when nothing in QEMU waits for the mirrors' targets any more. */
  readonly #targetsCut = Promise.withResolvers<void>();

  #answersTargets = false;

  /** @param silence whether the connection carries nothing, found dead or not. */
  constructor(context: ListenersContext, silence: Pick<FreezeWatch, "silent">) {
    this.#context = context;
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

  /** What the mirrors' targets have under way fails, and they connect again: no guest waits for them then. */
  cutTargets(): void {
    this.#targets?.cutJoined();
  }

  /** The destination, or the link to it, is known to be away, and may come back. */
  get #isAway(): boolean {
    const { destination } = this.#context;
    return destination?.waiting === true || destination?.peer?.session.state === "down";
  }

  /** Nothing in QEMU waits for the mirrors' targets any more: their connections may be closed. */
  targetsAreCut(): void {
    this.#targetsCut.resolve();
  }

  /**
   * Answers QEMU's flush of each target here: the mirrors have ended and the disks are the destination's
   * QEMU's now, whose NBD server has gone. QEMU 11.1 reports a flush that fails as it closes a target.
   */
  answerTargets(): void {
    this.#answersTargets = true;
  }

  /** Listens at `CHANNEL.sock`; connections become streams that `open` makes. */
  async serve(
    channel: "nbd" | "ram",
    open: OpenStream,
  ): Promise<ChannelListener> {
    const { listen, runDir } = this.#context.options;
    const bound = await listen(runDir.path(`${channel}.sock`));
    const acceptor = channel === "nbd"
      ? closingLate(bound, {
        mayClose: () => this.#mayClose(),
        answersHere: () => this.#answersTargets,
      })
      : bound;
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
    // Its end is heard of here before it is known whether another one takes over.
    if (session?.state === "ended") await session.ended;
    // QEMU will only see a closed socket; this is the reason for it. While a destination is waited
    // for, QEMU tries again.
    if (this.#context.destination?.waiting !== true) this.#context.fault(error);
  }

  /**
   * A connection of QEMU's NBD client is closed only once QEMU was told not to wait for the server,
   * or where it is to wait: for a destination whose tool comes back, or a link.
   */
  async #mayClose(): Promise<void> {
    const session = this.#context.destination?.peer?.session;
    // Its streams end before it is known whether another session takes over.
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
