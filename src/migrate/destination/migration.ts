import type { RpcPeer } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import { type MigrationError, qemuGone } from "../errors.ts";
import { BeforeSwitchover } from "./before_switchover.ts";
import { DestinationContext } from "./context.ts";
import { GivingUp } from "./failure.ts";
import { Loading } from "./load.ts";
import type { DestinationOptions } from "./options.ts";
import { Preparation } from "./prepare.ts";
import { RamFollows } from "./ram_follows.ts";
import { Resumption } from "./resume.ts";
import { Sessions } from "./sessions.ts";
import { GuestStart } from "./start.ts";

/**
 * The destination's side of one migration. Its source drives it, by calls:
 *
 * | call | file | what happens |
 * | --- | --- | --- |
 * | `ready` of `switchover` | `before_switchover.ts` | the owner's hook has run |
 * | `prepare` | `prepare.ts` | the guest is compared with this QEMU, its disks are exported |
 * | `openTunnel` of `ram` | `load.ts` | QEMU is given its one incoming migration |
 * | `load` | `load.ts` | answered when QEMU has loaded the guest |
 * | `finish` | `start.ts` | the guest runs here |
 * | `recover` | `ram_follows.ts` | QEMU waits for the rest of RAM again (post-copy) |
 * | `attach` | `resume.ts` | another session of the same source takes its place |
 * | `abort` | `failure.ts` | everything is undone |
 *
 * `sessions.ts` serves one source after another until one has prepared. The end of that one's session
 * without `finish` undoes everything.
 */
export class DestinationMigration {
  readonly #context: DestinationContext;
  readonly #givingUp: GivingUp;
  readonly #resumption: Resumption;
  readonly #sessions: Sessions;

  /**
   * Begins nothing yet.
   *
   * @param options the parts and settings; nothing is done before a source prepares. */
  constructor(options: DestinationOptions) {
    const context = new DestinationContext(options);
    const givingUp = new GivingUp(context);
    const before = new BeforeSwitchover(context, givingUp);
    const loading = new Loading(context, givingUp, before);
    const preparation = new Preparation(context, givingUp, loading);
    const following = new RamFollows(context, givingUp);
    const start = new GuestStart(context, givingUp, following);
    const resumption = new Resumption(context, { givingUp, preparation, start, following });
    this.#context = context;
    this.#givingUp = givingUp;
    this.#resumption = resumption;
    this.#sessions = new Sessions(context, {
      ...{ preparation, before, loading, start, following, givingUp, resumption },
    });
    options.qmp.closed.then((cause) => {
      const quoted = options.lastWords?.().then((log) => qemuGone("destination", cause, log));
      return givingUp.giveAndTell("gone", qemuGone("destination", cause), quoted);
    });
  }

  /**
   * Resolves when the guest runs here.
   *
   * @throws {MigrationError} when the migration failed; everything is undone by then.
   */
  async outcome(): Promise<void> {
    await this.#context.outcome.promise;
    if (this.#context.failure) throw this.#context.failure;
  }

  /**
   * Resolves when the source knows for certain whether the guest runs here: it has heard the final state,
   * or never asked for the guest to run.
   */
  get told(): Promise<void> {
    return this.#context.told.promise;
  }

  /** The session that owns the migration, once a source has prepared. */
  get source(): Session | undefined {
    return this.#context.owner;
  }

  /** QEMU was given its one incoming migration, or may have been. */
  get memoryBegan(): boolean {
    return this.#context.record?.incomingStarted ?? false;
  }

  /** QEMU's run state when the guest was started or left paused; `null` before, or where unknown. */
  get guestStatus(): string | null {
    return this.#context.arrivedAs;
  }

  /** Something could not be undone: the journal must stay. */
  get leftBehind(): boolean {
    return this.#givingUp.leftBehind;
  }

  /** Bytes that crossed the tunnel, both directions. */
  get bytes(): number {
    return this.#context.owner?.bytes ?? 0;
  }

  /** Resumes from the journal of a killed process; to be called before any source is served. */
  async resume(): Promise<void> {
    await this.#resumption.resume(this.#context.options.resume!);
  }

  /** Gives the migration up and tells the source, unless the guest was handed over already. */
  async cancel(reason: MigrationError): Promise<void> {
    await this.#givingUp.giveAndTell("fault", reason);
  }

  /** Waits until the sources have heard the outcome and have left, five seconds at most. */
  async leave(): Promise<void> {
    await this.#sessions.leave();
  }

  /**
   * Serves a session that a source has opened.
   *
   * @param before answered the source's calls until now; its handlers are replaced.
   */
  serve(session: Session, before?: RpcPeer): void {
    this.#sessions.serve(session, before);
  }
}
