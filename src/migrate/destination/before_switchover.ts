import type { Result, RpcError } from "../../rpc/mod.ts";
import { asMigrationError } from "../errors.ts";
import type { DestinationContext } from "./context.ts";
import type { GivingUp } from "./failure.ts";

/** How long an answer to `ready` may take, ms; well below the source's patience. */
const ANSWER_MS = 10_000;

/**
 * What the destination's owner does before RAM crosses: a hook. It is done before QEMU is given its one
 * incoming migration, so that a failure costs no QEMU, and while the guest runs at the source.
 */
export class BeforeSwitchover {
  readonly #context: DestinationContext;
  readonly #givingUp: GivingUp;
  #done: Promise<void> | undefined;

  constructor(context: DestinationContext, givingUp: GivingUp) {
    this.#context = context;
    this.#givingUp = givingUp;
  }

  /**
   * Resolves when it is done; begins with the first call.
   *
   * @throws {RpcError} when it fails; the migration is given up then.
   */
  done(): Promise<void> {
    if (!this.#done) {
      this.#done = this.#run();
      this.#done.catch(() => {});
    }
    return this.#done;
  }

  /** Answers `ready`: false after ten seconds, and the source asks again. Throws as {@link done} does. */
  async ready(): Promise<Result<"ready">> {
    const late = Promise.withResolvers<boolean>();
    const stop = this.#context.clock.after(ANSWER_MS, () => late.resolve(false));
    try {
      return { ready: await Promise.race([this.done().then(() => true), late.promise]) };
    } finally {
      stop();
    }
  }

  async #run(): Promise<void> {
    const { options, settled } = this.#context;
    try {
      await options.beforeSwitchover?.(settled);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  #refusal(error: unknown): RpcError {
    return this.#givingUp.answered(asMigrationError(error, "destination"));
  }
}
