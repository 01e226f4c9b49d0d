import type { Clock, Logger } from "../../io/mod.ts";
import { type JobInfo, type QmpClient, QmpCommandError, queryBlockJobs } from "../../qmp/mod.ts";
import type { MigrationError } from "../errors.ts";
import type { JobWatch } from "./job_watch.ts";
import { mirrorFault, reasonOf } from "./mirror_fault.ts";
import { type Connections, MirrorRetries } from "./mirror_retry.ts";
import type { Mirror } from "./mirror_target.ts";

/** Statuses of a paused job, before and after it was ready. */
const PAUSED: readonly string[] = ["paused", "standby"];

export interface MirrorHealthOptions {
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly mirrors: readonly Mirror[];
  /** The jobs as of the last look. */
  readonly jobs: Pick<JobWatch, "get" | "ids" | "failedOperation">;
  readonly connections: () => Connections;
  /** Starts the job of a mirror anew; `undefined`: a lost connection does not come back. */
  readonly restart: ((mirror: Mirror) => Promise<void>) | undefined;
  /** A mirror failed that should run on. Called at most once. */
  readonly onFault: (error: MigrationError) => void;
}

/** What vmferry does with the mirrors: `finishing` while it ends them, `undoing` once it gives them up. */
type MirrorStage = "running" | "finishing" | "undoing";

/**
 * Judges the mirror jobs after each look at QEMU's jobs: reports the first failure, and resumes jobs
 * that QEMU paused because their connection was lost (`job-resume`).
 */
export class MirrorHealth {
  readonly #options: MirrorHealthOptions;
  readonly #retries: MirrorRetries;
  /** Jobs that QEMU has listed at least once: only such a job can be gone. */
  readonly #everSeen = new Set<string>();
  #stage: MirrorStage = "running";
  #adopted = false;
  #faulted = false;

  constructor(options: MirrorHealthOptions) {
    this.#options = options;
    this.#retries = new MirrorRetries(options.mirrors.length);
  }

  /** The mirrors are being ended or given up. */
  get isEnding(): boolean {
    return this.#stage !== "running";
  }

  /** The stages only go forward. */
  enter(stage: "finishing" | "undoing"): void {
    if (this.#stage !== "undoing") this.#stage = stage;
  }

  /** An earlier process of vmferry started these jobs; the connections of its jobs ended with it. */
  adopt(jobIds: readonly string[], hasStarted: boolean): void {
    this.#adopted = hasStarted;
    for (const id of jobIds) this.#everSeen.add(id);
  }

  /** @param started ids of the jobs that vmferry has started. */
  async check(started: ReadonlySet<string>): Promise<void> {
    if (!this.isEnding) await this.#checkRunning(started);
    await this.#resumePaused();
  }

  async #checkRunning(started: ReadonlySet<string>): Promise<void> {
    const { log, mirrors, jobs, onFault, restart } = this.#options;
    for (const mirror of mirrors) {
      if (!started.has(mirror.jobId)) continue;
      const job = jobs.get(mirror.jobId);
      if (job && job.status !== "concluded" && job.error === undefined) continue;
      // Just started: QEMU lists the job from the next look on.
      if (!job && !this.#everSeen.has(mirror.jobId)) continue;
      if (this.#faulted) return;
      const next = job && restart ? this.#afterFirstLook(job) : "hopeless";
      if (next === "later") continue;
      if (next === "again") {
        log.log("debug", `disk ${mirror.name}: its mirror job is started again`);
        this.#everSeen.delete(mirror.jobId);
        await restart!(mirror);
        continue;
      }
      this.#faulted = true;
      onFault(this.fault(mirror, job?.error ?? "the mirror job is gone"));
      return;
    }
    for (const id of jobs.ids) this.#everSeen.add(id);
  }

  /**
   * Whether to start a job again that ended before it copied anything. QEMU 11.1 asks the target first what it
   * holds, and ends the job if its connection is lost meanwhile; any later error only pauses a job.
   */
  #afterFirstLook({ id, currentProgress, status }: JobInfo): "again" | "later" | "hopeless" {
    const { clock, connections, jobs } = this.#options;
    if (currentProgress > 0 || status !== "concluded") return "hopeless";
    if (jobs.failedOperation(id) !== undefined) return "hopeless";
    return this.#retries.next(id, connections(), clock.now());
  }

  /** Resumes jobs that are paused because of their target, or reports why that is hopeless. */
  async #resumePaused(): Promise<void> {
    const { qmp, clock, log, mirrors, jobs, connections, onFault } = this.#options;
    const paused = mirrors.filter(({ jobId }) => PAUSED.includes(jobs.get(jobId)?.status ?? ""));
    if (paused.length === 0 || this.#faulted || this.#stage === "undoing") return;
    // A job is also paused for a moment when QEMU drains its disks; only an error changes this status.
    const blockJobs = await queryBlockJobs(qmp);
    for (const mirror of paused) {
      const status = blockJobs.find((job) => job.device === mirror.jobId)?.["io-status"];
      if (status === undefined || status === "ok") continue;
      const now = connections();
      const known = { ...now, lost: now.lost + (this.#adopted ? 1 : 0) };
      // The guest is paused while the mirrors are ended: waiting for a connection adds to the downtime.
      const next = status === "nospace" || this.isEnding
        ? "hopeless"
        : this.#retries.next(mirror.jobId, known, clock.now());
      if (next === "again") {
        log.log("debug", `disk ${mirror.name}: its mirror job is resumed`);
        await qmp.execute("job-resume", { id: mirror.jobId });
      } else if (next === "hopeless") {
        this.#faulted = true;
        return onFault(this.fault(mirror, reasonOf(status)));
      }
    }
  }

  /** Why QEMU does not end a mirror: of one that an error paused it says only that it is paused. */
  async whyNotEnded(mirror: Mirror, error: unknown): Promise<unknown> {
    if (!(error instanceof QmpCommandError)) return error;
    const jobs = await queryBlockJobs(this.#options.qmp);
    const status = jobs.find((job) => job.device === mirror.jobId)?.["io-status"] ?? "ok";
    return this.fault(mirror, status === "ok" ? error.message : reasonOf(status));
  }

  fault({ name, jobId }: Mirror, reason: string): MigrationError {
    const operation = this.#options.jobs.failedOperation(jobId);
    return mirrorFault({ disk: name, reason, operation, finishing: this.isEnding });
  }
}
