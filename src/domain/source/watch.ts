import { type Clock, delay, type Logger, messageOf } from "../../io/mod.ts";
import {
  type BlockJob,
  blockJob,
  domainState,
  type JobInfo,
  jobInfo,
  type Virsh,
} from "../../libvirt/mod.ts";
import { compressionOf, type DiskProgress, type Phase, type Report } from "../../migrate/mod.ts";
import { type CopiedDisk, diskProgress, ramProgress, Rate } from "./progress.ts";

/** Pause between two looks, ms. */
const EVERY_MS = 1_000;
/** The same until libvirt has begun, ms: the limits are to hold from the start. */
const FIRST_MS = 200;
/** How long one query may take, ms: libvirt answers none while it switches the domain over. */
const QUERY_MS = 5_000;
/** How long a warning is not repeated, ms. */
const WARN_AGAIN_MS = 60_000;
/** How long the guest must have changed RAM faster than it crosses, ms. */
const DIVERGES_MS = 15_000;

/** The migration, as far as its watch needs it. */
export interface WatchContext {
  /** The source's libvirt, directly. */
  readonly virsh: Virsh;
  readonly uuid: string;
  readonly disks: readonly CopiedDisk[];
  /** The guest is paused, by vmferry or somebody else, and not for the switchover. */
  readonly paused: boolean;
  /** Bytes that crossed so far, both directions. */
  readonly bytes: number;
  /** As many as there would be without compression: what the rate counts. */
  readonly carried: number;
  /** libvirt has begun: limits can be applied. Called once. */
  readonly onBegun: () => void;
  /** Every disk was copied once. */
  readonly onCopied: () => void;
  /** RAM crosses. Called once. */
  readonly onRam: () => void;
  readonly report: Report;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Watches libvirt's migration through a connection of its own, and reports phases and progress. A query
 * that fails or takes long changes nothing.
 */
export class DomainWatch {
  readonly #context: WatchContext;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #rate: Rate;
  #phase: Phase;
  #jobs = new Map<string, BlockJob>();
  #begun = false;
  #divergesSince: number | undefined;
  #warnedAt = -Infinity;

  /** Begins to watch. */
  constructor(context: WatchContext) {
    this.#context = context;
    this.#rate = new Rate(context.clock.now(), context.carried);
    this.#phase = context.disks.length > 0 ? "mirror" : "ram";
    context.report({ event: "phase", phase: this.#phase });
    this.#running = this.#watch();
  }

  /** The phase that was reported last. */
  get phase(): Phase {
    return this.#phase;
  }

  /** The destination is being asked to run the guest. */
  finishing(): void {
    this.#enter("handover");
  }

  /** Stops; resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("The watch was stopped"));
    await this.#running;
  }

  async #watch(): Promise<void> {
    const { clock, log } = this.#context;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#look(signal).catch((error) => {
        if (!signal.aborted) log.log("debug", `watch: ${messageOf(error)}`);
      });
      await delay(clock, this.#begun ? EVERY_MS : FIRST_MS, signal).catch(() => {});
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { virsh, uuid, onBegun } = this.#context;
    // In one turn of the event loop, so that they share a virsh.
    const asked = jobInfo(virsh, uuid, { timeoutMs: QUERY_MS, signal });
    const more = this.#begun ? this.#askMore(signal) : undefined;
    const job = await asked;
    if (job.type === "none" && !this.#begun) return;
    if (!this.#begun) {
      this.#begun = true;
      onBegun();
      if (this.#phase === "ram") this.#context.onRam();
    }
    const ram = ramProgress(job);
    const hasLeft = job.type === "completed" || job.type === "none";
    const rest = more ?? this.#askMore(signal);
    if (ram || hasLeft) {
      const { state } = await rest.state;
      // libvirt has cancelled the migration, or it failed: virsh ends now.
      if (job.type === "none" && state === "running") return;
      if (this.#phase === "mirror") this.#enter("ram");
      if (state === "paused" && !this.#context.paused) this.#enter("switchover");
      // The source's part is over: the destination is being asked to run the guest.
      if (hasLeft) this.#enter("handover");
    } else {
      this.#takeJobs(await rest.jobs);
    }
    this.#tell(job);
  }

  /** What a look needs beside libvirt's job, unless the phase has changed since. */
  #askMore(signal: AbortSignal) {
    const { virsh, uuid, disks } = this.#context;
    const limit = { timeoutMs: QUERY_MS, signal };
    const copied = this.#phase === "mirror" ? disks : [];
    const state = domainState(virsh, uuid, limit);
    const jobs = Promise.all(copied.map(async ({ name }) => {
      return [name, await blockJob(virsh, uuid, name, limit)] as const;
    }));
    // Each is awaited only where it is needed.
    for (const one of [state, jobs]) one.catch(() => {});
    return { state, jobs };
  }

  #takeJobs(jobs: readonly (readonly [name: string, job: BlockJob | undefined])[]): void {
    const { disks, onCopied } = this.#context;
    for (const [name, job] of jobs) {
      if (job) this.#jobs.set(name, job);
    }
    const isCopied = ({ name, sizeBytes }: CopiedDisk) => {
      const job = this.#jobs.get(name);
      return job !== undefined && job.end > 0 && job.current >= Math.min(job.end, sizeBytes);
    };
    if (disks.every(isCopied)) onCopied();
  }

  /** Reports the phases up to this one: a look may have come too late for some. */
  #enter(phase: Phase): void {
    for (const next of ORDER.slice(ORDER.indexOf(this.#phase) + 1, ORDER.indexOf(phase) + 1)) {
      this.#phase = next;
      this.#context.report({ event: "phase", phase: next });
    }
    if (phase !== "ram") return;
    this.#context.onCopied();
    this.#context.onRam();
  }

  #tell(job: JobInfo): void {
    const { report, clock, disks } = this.#context;
    const now = clock.now();
    this.#rate.sample(now, this.#context.carried);
    const ram = ramProgress(job);
    const isCopied = ORDER.indexOf(this.#phase) > ORDER.indexOf("mirror");
    const progress = disks.map((disk): DiskProgress => {
      const seen = diskProgress(disk, this.#jobs.get(disk.name));
      return isCopied ? { ...seen, transferred: seen.total, ready: true } : seen;
    });
    const eta = this.#rate.eta(progress, ram);
    report({
      event: "progress",
      phase: this.#phase,
      disks: progress,
      ram,
      rate: this.#rate.value,
      eta,
      ...compressionOf(this.#context.bytes, this.#context.carried),
    });
    if (this.#phase === "ram" && ram && ram.iteration > 1) this.#judge(ram.dirtyRate, now);
    else this.#divergesSince = undefined;
  }

  /** Warns of a guest that changes RAM faster than it crosses. */
  #judge(dirtyRate: number, now: number): void {
    if (dirtyRate < this.#rate.value) return void (this.#divergesSince = undefined);
    this.#divergesSince ??= now;
    if (now - this.#divergesSince < DIVERGES_MS || now - this.#warnedAt < WARN_AGAIN_MS) return;
    this.#warnedAt = now;
    const mib = (rate: number) => `${Math.round(rate / (1024 * 1024))} MiB/s`;
    this.#context.report({
      event: "warning",
      code: "ram-not-converging",
      message:
        `The guest changes ${mib(dirtyRate)} of its RAM, and ${
          mib(this.#rate.value)
        } cross: the RAM ` +
        "does not converge. Allow more bandwidth ('vmferry set bandwidth=…') or a longer downtime " +
        "('vmferry set max-downtime=…'), or pause the guest ('vmferry set pause=when-copied')",
    });
  }
}

/** A phase never comes back. */
const ORDER: readonly Phase[] = ["prepare", "mirror", "ram", "switchover", "handover", "done"];
