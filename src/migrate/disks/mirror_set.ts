import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import { type QmpClient, QmpCommandError, queryBlockJobs, queryJobs } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
import type { DiskProgress } from "../events.ts";
import { JobWatch } from "./job_watch.ts";
import { clientNode, connectTarget, type Mirror, targetOptions } from "./mirror_target.ts";
import { CONNECT_MS, type Connections, MirrorRetries } from "./mirror_retry.ts";

export interface MirrorSetOptions {
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly mirrors: readonly Mirror[];
  /** UNIX socket that QEMU connects its NBD client to. */
  readonly socketPath: string;
  /** What each may have under way, bytes; `undefined`: as QEMU does by itself. */
  readonly bufferBytes?: number | undefined;
  /** A target's connection that went may come back: its job waits for that. */
  readonly mayWait: boolean;
  readonly connections: () => Connections;
  /** A mirror failed that should go on. Called once at most. */
  readonly onFault: (error: MigrationError) => void;
}

export type { Mirror };

/** How long QEMU may take to cut a target off, ms; it does that even while it waits. */
const YANK_MS = 5_000;
/** Statuses of a job that stands, before and after it was ready. */
const STANDS: readonly string[] = ["paused", "standby"];
/** How long finished mirrors may take to conclude, without progress, ms. */
const CONCLUDE_MS = 30_000;

/**
 * The mirror jobs of a migration. Events say when to look; `query-jobs` says what is so.
 * What `start` made, `finish` or `undo` removes.
 */
export class MirrorSet {
  readonly #options: MirrorSetOptions;
  readonly #qmp: QmpClient;
  readonly #jobs: JobWatch;
  readonly #nodes = new Set<string>();
  readonly #started = new Set<string>();
  readonly #retries: MirrorRetries;
  /** Jobs that QEMU has told of: only such a one can have gone. */
  readonly #everSeen = new Set<string>();
  #finishing = false;
  #undoing = false;
  #adopted = false;
  /** Jobs whose guest's writes wait for the target. */
  readonly #blocking = new Set<string>();
  #faulted = false;

  constructor(options: MirrorSetOptions) {
    this.#options = options;
    this.#qmp = options.qmp;
    this.#retries = new MirrorRetries(options.mirrors.length);
    this.#jobs = new JobWatch({
      ...{ qmp: options.qmp, clock: options.clock, log: options.log },
      onLook: () => this.#looked(),
    });
  }

  /** How far each disk is, in the order given. */
  get progress(): DiskProgress[] {
    return this.#options.mirrors.map((mirror) => {
      const job = this.#jobs.get(mirror.jobId);
      return {
        name: mirror.name,
        transferred: job?.currentProgress ?? 0,
        sizeBytes: mirror.sizeBytes,
        total: job?.totalProgress || mirror.sizeBytes,
        ready: job?.status === "ready",
      };
    });
  }

  /** Takes on what another process of ours has made in this QEMU: {@link start} makes the rest. */
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
    // Its connections went with that process.
    this.#adopted = this.#started.size > 0;
    for (const { id } of jobs) this.#everSeen.add(id);
  }

  /** True when there is anything of it in QEMU. */
  get inQemu(): boolean {
    return this.#nodes.size > 0 || this.#started.size > 0;
  }

  /** Adds the target nodes and starts the jobs. QEMU connects each target while we wait here. */
  async start(signal: AbortSignal): Promise<void> {
    const { mirrors, socketPath, mayWait, bufferBytes } = this.#options;
    this.#jobs.start();
    for (const mirror of mirrors) {
      if (this.#nodes.has(mirror.targetNode)) continue;
      signal.throwIfAborted();
      await this.#attempt(mirror, "could not connect its target", async () => {
        this.#nodes.add(mirror.targetNode);
        await connectTarget(this.#qmp, targetOptions(mirror, socketPath), {
          ...{ signal, away: () => mayWait && this.#options.connections().away },
          pause: () => this.#jobs.nextLook(signal),
        });
      });
    }
    for (const mirror of mirrors) {
      if (this.#started.has(mirror.jobId)) continue;
      signal.throwIfAborted();
      await this.#attempt(mirror, "could not be mirrored", async () => {
        this.#started.add(mirror.jobId);
        await this.#qmp.execute("blockdev-mirror", {
          "job-id": mirror.jobId,
          device: mirror.device,
          target: mirror.targetNode,
          sync: "full",
          "copy-mode": "background",
          "on-source-error": "report",
          "on-target-error": mayWait ? "stop" : "report",
          "auto-dismiss": false,
          ...(bufferBytes === undefined ? {} : { "buf-size": bufferBytes }),
        }, { signal });
      });
    }
    this.#jobs.look();
  }

  /**
   * Makes the guest's writes to a disk wait until they are at the destination too, so that its mirror
   * can't fall behind any more.
   *
   * @returns false where QEMU can't (before 8.2), or it is so already.
   */
  async makeBlocking(name: string): Promise<boolean> {
    const id = this.#options.mirrors.find((mirror) => mirror.name === name)?.jobId;
    if (id === undefined || this.#finishing || this.#blocking.has(id)) return false;
    if (!this.#qmp.hasCommand("block-job-change")) return false;
    this.#blocking.add(id);
    try {
      const change = { id, type: "mirror", "copy-mode": "write-blocking" } as const;
      await this.#qmp.execute("block-job-change", change);
      return true;
    } catch (error) {
      this.#options.log.log("info", `the mirror of disk ${name}: ${messageOf(error)}`);
      return false;
    }
  }

  /** The guest's writes to one of the disks wait for the destination, or may. */
  get isBlocking(): boolean {
    // What another process had made of its jobs QEMU does not tell.
    const maybe = this.#adopted && this.#qmp.hasCommand("block-job-change");
    return (maybe || this.#blocking.size > 0) && !this.#finishing;
  }

  /** Waits until every disk is in step. */
  async allReady(signal: AbortSignal): Promise<void> {
    await this.#jobs.until(
      () => this.#options.mirrors.every((m) => this.#jobs.get(m.jobId)?.status === "ready"),
      signal,
    );
  }

  /** Waits until a disk is in step. */
  async ready(name: string, signal: AbortSignal): Promise<void> {
    const id = this.#options.mirrors.find((mirror) => mirror.name === name)!.jobId;
    await this.#jobs.until(() => this.#jobs.get(id)?.status === "ready", signal);
  }

  /**
   * Waits until every disk is in step over a connection that stands: from then on none may go. A
   * target whose connection went while there was nothing to write has not been missed by QEMU yet.
   *
   * @throws {MigrationError} when QEMU does not connect one again that is there.
   */
  async inStep(signal: AbortSignal): Promise<void> {
    const { clock, connections, mirrors } = this.#options;
    let since = clock.now();
    while (true) {
      await this.allReady(signal);
      const { open, away } = connections();
      if (!away && open >= mirrors.length) return;
      if (away) since = clock.now();
      if (clock.now() - since > CONNECT_MS) {
        const message = `QEMU did not connect to the destination's disks again within ` +
          `${CONNECT_MS / 1000} s`;
        throw new MigrationError("failed", "mirror-stuck", "source", message);
      }
      signal.throwIfAborted();
      // A server that is silent would have QEMU wait, and the guest with it.
      if (!away) await this.#touchTargets();
      await this.#jobs.nextLook(signal);
    }
  }

  /** A read makes QEMU connect a target again; what comes of it shows in the connections. */
  async #touchTargets(): Promise<void> {
    await Promise.all([...this.#nodes].map(async (node) => {
      const read = { "command-line": `qemu-io ${node} "read 0 512"` };
      await this.#qmp.execute("human-monitor-command", read)
        .catch((error) => this.#options.log.log("debug", `qemu-io: ${messageOf(error)}`));
    }));
  }

  /**
   * Ends every mirror in step: the guest is stopped, what is left goes over, the target is flushed.
   * The jobs and targets stay until `undo`: removing them would keep the guest waiting.
   *
   * @throws {MigrationError} when one was not in step or ended with an error.
   */
  async finish(signal: AbortSignal): Promise<void> {
    const { mirrors } = this.#options;
    this.#finishing = true;
    // Nothing is asked meanwhile, QEMU says when they have ended: the guest stands still. On a mirror
    // that is ready, cancel without force is the way to end it in step (job-cancel would be forced);
    // one that is not ready ends with an error by it, and so does the migration.
    await Promise.all(mirrors.map(async (mirror) => {
      const ending = this.#qmp.execute("block-job-cancel", { device: mirror.jobId }, { signal });
      await ending.catch(async (error) => {
        throw await this.#whyNotEnded(mirror, error);
      });
    }));
    await this.#jobs.until(() => this.#allConcluded(), signal, CONCLUDE_MS);
    for (const mirror of mirrors) {
      const job = this.#jobs.get(mirror.jobId);
      if (!job) throw this.#jobFault(mirror, "the mirror job is gone");
      if (job.error !== undefined) throw this.#jobFault(mirror, job.error);
    }
    this.#jobs.stop();
  }

  /** Cancels what runs and removes what was added. Tolerates what is already gone. */
  async undo(): Promise<void> {
    this.#finishing = this.#undoing = true;
    await this.cut();
    await this.remove();
  }

  /** Removes jobs that have ended, or ends them, and the targets, whose connections are still there. */
  async remove(): Promise<void> {
    this.#finishing = this.#undoing = true;
    await this.#tolerant(
      [...this.#started].map((device) => ["block-job-cancel", { device, force: true }]),
    );
    this.#jobs.start();
    // Jobs that another process has begun were not looked at yet.
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
   * Cuts the targets off, for good: what is under way to them fails, and nothing waits for them. What
   * is thrown away needs no connection, what is finished has been flushed. To be called while QEMU
   * still has its connections. A target whose server is silent is waited for: by its job, and by QEMU
   * as a whole where it drains or flushes all it has.
   */
  async cut(): Promise<void> {
    if (!this.#qmp.hasCommand("yank")) return;
    const made = this.#options.mirrors.filter(({ targetNode }) => this.#nodes.has(targetNode));
    const yanks = made.map(async (mirror) => {
      const instances = [{ type: "block-node", "node-name": clientNode(mirror) }];
      // Ahead of everything: QEMU may be waiting for one of them.
      await this.#qmp.executeUntyped("yank", { instances }, { oob: true, timeoutMs: YANK_MS })
        .catch((error) => this.#options.log.log("debug", `yank: ${messageOf(error)}`));
    });
    await Promise.all(yanks);
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

  // Looking at the jobs

  async #looked(): Promise<void> {
    if (!this.#finishing) this.#checkRunning();
    await this.#tryAgain();
  }

  #checkRunning(): void {
    for (const mirror of this.#options.mirrors) {
      if (!this.#started.has(mirror.jobId)) continue;
      const job = this.#jobs.get(mirror.jobId);
      if (job && job.status !== "concluded" && job.error === undefined) continue;
      // Just started: the job is known from the next look on.
      if (!job && !this.#everSeen.has(mirror.jobId)) continue;
      if (this.#faulted) return;
      this.#faulted = true;
      this.#options.onFault(this.#jobFault(mirror, job?.error ?? "the mirror job is gone"));
      return;
    }
    for (const id of this.#jobs.ids) this.#everSeen.add(id);
  }

  /** Lets jobs that stand because of their target go on, or tells that they can't. */
  async #tryAgain(): Promise<void> {
    const stands = ({ jobId }: Mirror) => STANDS.includes(this.#jobs.get(jobId)?.status ?? "");
    const standing = this.#options.mirrors.filter(stands);
    if (standing.length === 0 || this.#faulted || this.#undoing) return;
    // A job also stands for a moment when QEMU drains its disks; only an error leaves this status.
    const blockJobs = await queryBlockJobs(this.#qmp);
    for (const mirror of standing) {
      const status = blockJobs.find((job) => job.device === mirror.jobId)?.["io-status"];
      if (status === undefined || status === "ok") continue;
      const { clock, connections } = this.#options;
      const now = connections();
      const known = { ...now, lost: now.lost + (this.#adopted ? 1 : 0) };
      // The guest stands still once they are to end: that is no time to wait for anything.
      const next = status === "nospace" || this.#finishing
        ? "hopeless"
        : this.#retries.next(mirror.jobId, known, clock.now());
      if (next === "again") {
        this.#options.log.log("debug", `the mirror of disk ${mirror.name} tries again`);
        await this.#qmp.execute("job-resume", { id: mirror.jobId });
      } else if (next === "hopeless") {
        this.#faulted = true;
        return this.#options.onFault(this.#jobFault(mirror, reasonOf(status)));
      }
    }
  }

  /** A mirror that stands because of an error can't be ended: QEMU says only that it is paused. */
  async #whyNotEnded(mirror: Mirror, error: unknown): Promise<unknown> {
    if (!(error instanceof QmpCommandError)) return error;
    const jobs = await queryBlockJobs(this.#qmp);
    const status = jobs.find((job) => job.device === mirror.jobId)?.["io-status"] ?? "ok";
    return this.#jobFault(mirror, status === "ok" ? error.message : reasonOf(status));
  }

  #jobFault(mirror: Mirror, reason: string): MigrationError {
    // QEMU's own text of ECANCELED: no storage has failed. One that is ended too early says so as well.
    if (reason === "Operation canceled" && !this.#finishing) {
      const message = `Somebody cancelled the mirror job of disk ${mirror.name} in QEMU`;
      return new MigrationError("failed", "mirror-cancelled", "source", message);
    }
    const reading = this.#jobs.failedOperation(mirror.jobId) === "read";
    const code = reading
      ? "disk-read-failed"
      : /No space left/i.test(reason)
      ? "disk-full"
      : "disk-write-failed";
    return new MigrationError(
      "failed",
      code,
      reading ? "source" : "destination",
      `${reason} while ${reading ? "reading" : "writing"} disk ${mirror.name}`,
    );
  }
}

/** What an error was that a job stands for, by its `io-status`. */
function reasonOf(status: string): string {
  return status === "nospace" ? "No space left on device" : "Input/output error";
}
