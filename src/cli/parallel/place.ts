/**
 * The place of a migration among those of its host: its turn (`--max-parallel`) and its share of the bandwidth
 * (`--host-bandwidth`).
 *
 * @module
 */
import { type Logger, systemClock } from "../../io/mod.ts";
import type { Limits, Phase, Report } from "../../migrate/mod.ts";
import type { ParallelArguments } from "./args.ts";
import { absolutePath } from "../paths.ts";
import { removeBase, runBase } from "../run/base.ts";
import { PrivateRunDir } from "../run/run_dir.ts";
import { LockDirectory, type Membership } from "./lock_directory.ts";
import { ShareKeeper } from "./share_keeper.ts";
import { takeSlot } from "./slot.ts";

/** Phases in which less bandwidth is a longer pause of the guest, or may become one. */
const URGENT: readonly (Phase | null)[] = ["ram", "switchover", "handover", "postcopy"];

/** The migration that takes a place. */
export interface PlaceOptions {
  readonly parallel: ParallelArguments;
  /** `--run-dir`, if it was given. */
  readonly runDir: string | undefined;
  /** What migrates, for people. */
  readonly what: string;
  /** It began in an earlier process: its guest may be paused, so it never waits. */
  readonly hasBegun?: boolean;
  /** Called if it has to wait: serves `status` and `cancel` in the directory `dir`. */
  readonly onWait: (dir: PrivateRunDir) => Promise<void>;
  /** Called when it has its place. */
  readonly onTurn?: () => void;
  readonly signal: AbortSignal;
  readonly report: Report;
  readonly log: Logger;
}

/** What of a migration a share depends on. */
export interface Sharing {
  readonly limits: Pick<Limits, "bandwidth" | "setShare">;
  /** Bytes that have crossed so far. */
  readonly bytes: () => number;
  readonly phase: () => Phase | null;
}

/** A place, until disposed or until the process ends. Empty where neither of both options is given. */
export class Place implements AsyncDisposable {
  readonly #options: PlaceOptions;
  readonly #stack = new AsyncDisposableStack();
  #membership: Membership | undefined;
  #waitedIn: PrivateRunDir | undefined;

  /**
   * Waits for its turn. Until then nothing is touched: no connection, no QEMU, no other run's directory.
   *
   * @throws {MigrationError} kind `refused` when its turn did not come within `--max-wait`.
   * @throws {UsageError} when the lock directory cannot be used.
   * @throws the signal's reason when it is aborted first.
   */
  static async take(options: PlaceOptions): Promise<Place> {
    const place = new Place(options);
    try {
      await place.#take();
      options.onTurn?.();
      return place;
    } catch (error) {
      await place[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(options: PlaceOptions) {
    this.#options = options;
  }

  /** The migration is served in a directory of its own; others read of it as `what` from now on. */
  async begin(what = this.#options.what): Promise<void> {
    await this.#waitedIn?.[Symbol.asyncDispose]();
    this.#waitedIn = undefined;
    await this.#membership?.note({ what });
  }

  /** Keeps it at its share from now on. */
  async share({ limits, bytes, phase }: Sharing): Promise<void> {
    const { parallel: { hostBandwidth }, log } = this.#options;
    if (!this.#membership || hostBandwidth === null) return;
    this.#stack.use(
      await ShareKeeper.start({
        ...{ membership: this.#membership, hostBandwidth, bytes, clock: systemClock, log },
        apply: (share) => limits.setShare(share),
        limit: () => limits.bandwidth,
        isUrgent: () => URGENT.includes(phase()),
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#waitedIn?.[Symbol.asyncDispose]();
    await this.#stack.disposeAsync();
  }

  async #take(): Promise<void> {
    const { parallel, runDir, what, hasBegun = false, signal, report } = this.#options;
    const { maxParallel, hostBandwidth, maxWaitMs, lockDir } = parallel;
    if (maxParallel === null && hostBandwidth === null) return;
    const base = runBase(runDir);
    if (lockDir === undefined) {
      const made = await makeBase(base);
      this.#stack.defer(() => removeBase(base, made));
    }
    const directory = new LockDirectory(
      lockDir === undefined ? `${base}/parallel` : absolutePath(lockDir),
    );
    const waits = maxParallel !== null && !hasBegun;
    const facts = { pid: Deno.pid, what, maxParallel, hostBandwidth, wants: null };
    const membership = await directory.join(facts, waits ? "waiting" : "running");
    this.#stack.use(this.#membership = membership);
    if (!waits) return;
    await takeSlot({
      ...{ membership, max: maxParallel, maxWaitMs, signal, report, clock: systemClock },
      onWait: async () => {
        this.#waitedIn = await PrivateRunDir.make(runDir, "source");
        await this.#options.onWait(this.#waitedIn);
      },
    });
  }
}

/** Makes the directory of runs, as its first run does; returns whether it was not there. */
async function makeBase(base: string): Promise<boolean> {
  // Why it cannot be made, the lock directory's error says.
  return await Deno.mkdir(base, { mode: 0o700 }).then(() => true, () => false);
}
