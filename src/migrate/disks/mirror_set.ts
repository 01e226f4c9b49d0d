import type { Clock, Logger } from "../../io/mod.ts";
import { type QmpClient, QmpCommandError, queryJobs } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
import type { DiskProgress } from "../events.ts";
import type { CopyMode } from "../ram_choices.ts";
import { CopyModes } from "./copy_modes.ts";
import { JobWatch } from "./job_watch.ts";
import { MirrorHealth } from "./mirror_health.ts";
import type { Connections } from "./mirror_retry.ts";
import {
  connectTarget,
  cutTargets,
  type Mirror,
  startMirror,
  targetOptions,
  touchTargets,
} from "./mirror_target.ts";
import { untilConnected } from "./until_connected.ts";

export interface MirrorSetOptions {
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly mirrors: readonly Mirror[];
  /** UNIX socket that QEMU connects its NBD client to. */
  readonly socketPath: string;
  /** `buf-size` of each job, bytes; `undefined`: QEMU's default. */
  readonly bufferBytes?: number | undefined;
  /** A lost connection may come back: the job of its target is paused until then. */
  readonly mayWait: boolean;
  /** Of each job from its start on. Default: `background`. */
  readonly copyMode?: CopyMode | undefined;
  readonly connections: () => Connections;
  /** The members of {@link progress} that QEMU knows nothing of. */
  readonly more?: (disk: string) => Pick<DiskProgress, "skipped" | "verified">;
  /** A mirror failed that should run on. Called at most once. */
  readonly onFault: (error: MigrationError) => void;
}

export type { Mirror };

/** How long ended mirrors may take to conclude, without progress, ms. */
const CONCLUDE_MS = 30_000;

/**
 * The mirror jobs of a migration and their target nodes in the source's QEMU (`blockdev-add`,
 * `blockdev-mirror`, QEMU 3.0 and later). QEMU's events say when to look, `query-jobs` says how the
 * jobs are. `remove` or `undo` removes what `start` made.
 */
export class MirrorSet {
  readonly #options: MirrorSetOptions;
  readonly #qmp: QmpClient;
  readonly #jobs: JobWatch;
  readonly #nodes = new Set<string>();
  readonly #started = new Set<string>();
  readonly #health: MirrorHealth;
  readonly #modes: CopyModes;

  constructor(options: MirrorSetOptions) {
    this.#options = options;
    this.#qmp = options.qmp;
    this.#modes = new CopyModes(options);
    this.#jobs = new JobWatch({
      ...{ qmp: options.qmp, clock: options.clock, log: options.log },
      onLook: () => this.#health.check(this.#started),
    });
    const restart = options.mayWait ? (mirror: Mirror) => this.#restart(mirror) : undefined;
    this.#health = new MirrorHealth({ ...options, jobs: this.#jobs, restart });
  }

  /** Progress of each disk in bytes, in the order of `mirrors`. */
  get progress(): DiskProgress[] {
    return this.#options.mirrors.map((mirror) => {
      const job = this.#jobs.get(mirror.jobId);
      return {
        name: mirror.name,
        transferred: job?.currentProgress ?? 0,
        sizeBytes: mirror.sizeBytes,
        total: job?.totalProgress || mirror.sizeBytes,
        ready: job?.status === "ready",
        ...this.#modes.of(mirror),
        ...this.#options.more?.(mirror.name),
      };
    });
  }

  /**
   * Finds the jobs and target nodes that an earlier process of vmferry made in this QEMU; {@link start}
   * makes the missing ones.
   *
   * @throws {QmpError | QmpCommandError} when QEMU does not answer.
   */
  async adopt(): Promise<void> {
    const [jobs, nodes] = await Promise.all([
      queryJobs(this.#qmp),
      this.#qmp.execute("query-named-block-nodes", { flat: true }),
    ]);
    const names = new Set(nodes.map((node) => node["node-name"]));
    for (const { jobId, targetNode } of this.#options.mirrors) {
      if (names.has(targetNode)) this.#nodes.add(targetNode);
      if (jobs.some((job) => job.id === jobId)) this.#started.add(jobId);
    }
    const adopted = this.#started.size > 0;
    if (adopted) this.#modes.adopt();
    this.#health.adopt(jobs.map(({ id }) => id), adopted);
  }

  /** True while QEMU has a job or a target node of this set. */
  get inQemu(): boolean {
    return this.#nodes.size > 0 || this.#started.size > 0;
  }

  /**
   * Adds the target nodes and starts the jobs. QEMU connects to the export of a target within
   * `blockdev-add`.
   *
   * @throws {MigrationError} code `mirror-failed`, with the disk and QEMU's error; the signal's reason.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { mirrors, socketPath, mayWait } = this.#options;
    this.#jobs.start();
    for (const mirror of mirrors) {
      if (this.#nodes.has(mirror.targetNode)) continue;
      signal.throwIfAborted();
      await this.#attempt(
        mirror,
        "could not be connected to its export",
        async () => {
          this.#nodes.add(mirror.targetNode);
          await connectTarget(this.#qmp, targetOptions(mirror, socketPath), {
            ...{ signal, away: () => mayWait && this.#options.connections().away },
            pause: () => this.#jobs.nextLook(signal),
          });
        },
      );
    }
    for (const mirror of mirrors) {
      if (this.#started.has(mirror.jobId)) continue;
      signal.throwIfAborted();
      await this.#attempt(mirror, "could not be mirrored", async () => {
        this.#started.add(mirror.jobId);
        await this.#startJob(mirror, signal);
      });
    }
    this.#jobs.look();
  }

  async #startJob(mirror: Mirror, signal?: AbortSignal): Promise<void> {
    const { mayWait, bufferBytes } = this.#options;
    const copyMode = this.#modes.begin(mirror.jobId);
    await startMirror(this.#qmp, mirror, { mayWait, bufferBytes, copyMode, signal });
  }

  /** Has QEMU forget the job of a mirror that has ended, and starts it again. */
  async #restart(mirror: Mirror): Promise<void> {
    await this.#qmp.execute("job-dismiss", { id: mirror.jobId });
    await this.#startJob(mirror);
  }

  /**
   * Sets a mirror's copy mode to write-blocking, see {@link CopyModes.makeBlocking}.
   *
   * @param name of the disk.
   * @returns false where that is not possible, or done already.
   */
  async makeBlocking(name: string): Promise<boolean> {
    return !this.#health.isEnding && await this.#modes.makeBlocking(name);
  }

  /** Whether the guest's writes to a disk wait for the destination, or may do so. */
  get isBlocking(): boolean {
    return this.#modes.isBlocking && !this.#health.isEnding;
  }

  /** Measures how long the guest's writes wait, for {@link progress}. Never rejects. */
  async measureWaits(): Promise<void> {
    if (!this.#health.isEnding) await this.#modes.measure();
  }

  /** Waits until every mirror is ready. */
  async allReady(signal: AbortSignal): Promise<void> {
    await this.#jobs.until(
      () => this.#options.mirrors.every((m) => this.#jobs.get(m.jobId)?.status === "ready"),
      signal,
    );
  }

  /** Waits until the mirror of one disk is ready. */
  async ready(name: string, signal: AbortSignal): Promise<void> {
    const id = this.#options.mirrors.find((mirror) => mirror.name === name)!.jobId;
    await this.#jobs.until(() => this.#jobs.get(id)?.status === "ready", signal);
  }

  /**
   * Waits until every mirror is ready and every target has a connection: from then on none may be lost.
   * Throws as {@link untilConnected}.
   */
  async allStillReady(signal: AbortSignal): Promise<void> {
    const { clock, connections, log, mirrors } = this.#options;
    await untilConnected({
      ...{ clock, connections, signal, targets: mirrors.length },
      allReady: () => this.allReady(signal),
      touch: () => touchTargets(this.#qmp, [...this.#nodes], log),
      nextLook: () => this.#jobs.nextLook(signal),
    });
  }

  /**
   * Ends every mirror once the guest is paused: QEMU copies the rest and flushes the targets. The jobs
   * and target nodes stay until {@link remove}: removing them here would add to the downtime.
   *
   * @throws {MigrationError} when a mirror was not ready or ended with an error.
   */
  async finish(signal: AbortSignal): Promise<void> {
    const { mirrors } = this.#options;
    this.#health.enter("finishing");
    // No query meanwhile, QEMU's events report the end: each query adds to the downtime. On a ready
    // mirror, block-job-cancel without force completes the copy (job-cancel would be forced). A mirror
    // that is not ready ends with an error by it, and so does the migration.
    await Promise.all(mirrors.map(async (mirror) => {
      const ending = this.#qmp.execute("block-job-cancel", { device: mirror.jobId }, { signal });
      await ending.catch(async (error) => {
        throw await this.#health.whyNotEnded(mirror, error);
      });
    }));
    await this.#jobs.until(() => this.#allConcluded(), signal, CONCLUDE_MS);
    for (const mirror of mirrors) {
      const job = this.#jobs.get(mirror.jobId);
      if (!job) throw this.#health.fault(mirror, "the mirror job is gone");
      if (job.error !== undefined) throw this.#health.fault(mirror, job.error);
    }
    this.#jobs.stop();
  }

  /** Cancels the jobs and removes the target nodes. Tolerates what is already gone. */
  async undo(): Promise<void> {
    this.#health.enter("undoing");
    await this.cut();
    await this.remove();
  }

  /** Ends jobs that still run, dismisses them all and removes the targets, without cutting their connections. */
  async remove(): Promise<void> {
    this.#health.enter("undoing");
    await this.#tolerant(
      [...this.#started].map((device) => ["block-job-cancel", { device, force: true }]),
    );
    this.#jobs.start();
    // Jobs of an earlier process have not been looked at yet.
    await this.#jobs.look();
    await this.#jobs.until(() => this.#allConcluded(), undefined, CONCLUDE_MS);
    this.#jobs.stop();
    await this.#tolerant([...this.#started].map((id) => ["job-dismiss", { id }]));
    this.#started.clear();
    await this.#tolerant(
      [...this.#nodes].map((node) => ["blockdev-del", { "node-name": node }]),
    );
    this.#nodes.clear();
  }

  /**
   * Cuts the targets off for good (`yank`, QEMU 6.0): their requests fail at once, and QEMU waits for
   * none. Call it while QEMU still has its connections. Without it a silent server blocks the mirror
   * job, and all of QEMU wherever it drains or flushes its disks. It loses nothing: a mirror that is
   * given up needs no connection, and one that has ended is flushed.
   */
  async cut(): Promise<void> {
    const made = this.#options.mirrors.filter(({ targetNode }) => this.#nodes.has(targetNode));
    await cutTargets(this.#qmp, made, this.#options.log);
  }

  async #tolerant(commands: readonly [string, Record<string, unknown>][]): Promise<void> {
    await Promise.all(commands.map(async ([command, args]) => {
      try {
        await this.#qmp.executeUntyped(command, args);
      } catch (error) {
        if (!(error instanceof QmpCommandError)) throw error;
        this.#options.log.log("debug", `undo: ${error.message}`);
      }
    }));
  }

  #allConcluded(): boolean {
    return [...this.#started].every((id) => {
      const job = this.#jobs.get(id);
      return job === undefined || job.status === "concluded";
    });
  }

  async #attempt(mirror: Mirror, what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof QmpCommandError)) throw error;
      const message = `disk ${mirror.name} ${what}: ${error.message}`;
      throw new MigrationError("failed", "mirror-failed", "source", message, { cause: error });
    }
  }
}
