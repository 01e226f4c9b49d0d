import { MigrationError } from "../../migrate/mod.ts";
import type { ChannelServer, Params } from "../../rpc/mod.ts";
import { Copies } from "./create/copies.ts";
import { createAll } from "./create/create.ts";
import type { LaunchHost } from "./host.ts";
import type { LaunchTrust, StartedQemu } from "./options.ts";
import { type LaunchPlan, planLaunch } from "./plan.ts";
import type { LaunchJournal, SiteRecord } from "./record.ts";
import { Recorded } from "./recorded.ts";
import { refuseForeignImages } from "./rules/image_references.ts";
import { refuseTakenSockets } from "./rules/socket_faults.ts";
import { StartingQemu } from "./qemu/start.ts";

/** What a launch makes: first its files, then its QEMU. */
export class Making {
  readonly #host: LaunchHost;
  readonly #trust: LaunchTrust;
  /** What is to be made. */
  readonly plan: LaunchPlan;
  /** What was made, in the journal. */
  readonly recorded: Recorded;
  #copies: Copies | undefined;
  #qemu: StartingQemu | undefined;

  /**
   * Plans it. Changes nothing.
   *
   * @throws as `planLaunch`.
   */
  static async plan(
    host: LaunchHost,
    trust: LaunchTrust,
    journal: LaunchJournal,
    params: Params<"prepareLaunch">,
  ): Promise<Making> {
    const plan = await planLaunch(host, trust, params);
    return new Making(host, trust, plan, new Recorded(journal, plan.record));
  }

  private constructor(
    host: LaunchHost,
    trust: LaunchTrust,
    plan: LaunchPlan,
    recorded: Recorded,
  ) {
    this.#host = host;
    this.#trust = trust;
    this.plan = plan;
    this.recorded = recorded;
  }

  /** Paths that are created, but for those that QEMU itself makes. */
  get created(): string[] {
    return this.recorded.current.made.filter(({ kind }) => kind !== "by-qemu")
      .map(({ path }) => path);
  }

  /** Creates directories and images, and serves the channels of the copies. Rejects as `createAll`. */
  async create(channels: ChannelServer, signal: AbortSignal): Promise<void> {
    await createAll(this.#host, this.recorded, this.plan, signal);
    this.#copies = new Copies(this.#host, this.recorded, this.plan, channels);
  }

  /**
   * Waits for the copies, starts QEMU, and waits until it answers.
   *
   * @throws {MigrationError} kind `refused`.
   * @throws the signal's reason when that is aborted.
   */
  async start(signal: AbortSignal): Promise<StartedQemu> {
    await this.#copies?.join(signal);
    const { recorded, plan } = this;
    // Only now their content is there.
    await refuseForeignImages(this.#host, this.#trust, plan);
    // Copies take minutes, in which another QEMU may have made them.
    if (!this.#host.site) await refuseTakenSockets(this.#host, plan.start);
    const begunAt = this.#host.wallMs();
    const made = recorded.current.made.map((each) =>
      each.begunAt === null ? { ...each, begunAt } : each
    );
    await recorded.write({ state: "starting", made });
    const { site } = recorded.current.qemu;
    if (site) return await this.#startSite(site, signal);
    this.#qemu = await StartingQemu.start(this.#host, { ...plan, record: recorded.current });
    const { qmp, migration, log, qemu: { unit } } = recorded.current;
    const { pid } = await this.#qemu.answers(qmp, signal);
    await recorded.write({ state: "started" });
    const journalctl = unit?.scope === "user" ? "journalctl --user" : "journalctl";
    return {
      ...{ qmp, migration },
      what: unit === null ? `process ${pid}` : `unit ${unit.name}`,
      log: log ?? `${journalctl} -u ${unit?.name}`,
    };
  }

  /** The same by the user's command. */
  async #startSite(site: SiteRecord, signal: AbortSignal): Promise<StartedQemu> {
    const { recorded } = this;
    const { qmp, migration } = recorded.current;
    try {
      await this.#host.siteQemu({ ...site, qmp, begun: false }).start(signal);
    } catch (error) {
      // That QEMU is another one, which the undo must not stop.
      const isOther = error instanceof MigrationError && error.code === "already-started";
      if (isOther) await recorded.write({ state: "preparing" });
      throw error;
    }
    await recorded.write({ state: "started" });
    return { qmp, migration, what: "the one of --start", log: "" };
  }

  /** Creates nothing any more, whatever still arrives. Resolves when that is so. */
  async stop(): Promise<void> {
    await this.#copies?.stop();
  }

  /** Ends this process's part in QEMU's start. */
  release(): void {
    this.#qemu?.release();
  }
}
