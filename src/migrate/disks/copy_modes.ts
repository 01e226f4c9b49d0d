import { type Logger, messageOf } from "../../io/mod.ts";
import { type QmpClient, type WriteTime, writeTimes } from "../../qmp/mod.ts";
import type { CopyMode } from "../ram_choices.ts";
import type { Mirror } from "./mirror_target.ts";

export interface CopyModesOptions {
  readonly qmp: QmpClient;
  readonly log: Logger;
  readonly mirrors: readonly Mirror[];
  /** Of each job from its start on. Default: `background`. */
  readonly copyMode?: CopyMode | undefined;
}

/**
 * The copy modes of the mirror jobs. With `write-blocking` a write of the guest completes when the destination has it
 * too, so that the mirror no longer falls behind and the guest's writes are as slow as the connection.
 */
export class CopyModes {
  readonly #options: CopyModesOptions;
  /** Jobs in copy mode write-blocking. */
  readonly #blocking = new Set<string>();
  #adopted = false;
  #times: ReadonlyMap<string, WriteTime> = new Map();
  #waits: ReadonlyMap<string, number> = new Map();

  constructor(options: CopyModesOptions) {
    this.#options = options;
  }

  /** An earlier process has started jobs: QEMU does not report the copy mode that it has set. */
  adopt(): void {
    this.#adopted = true;
  }

  /** A job starts in the mode that is returned. */
  begin(jobId: string): CopyMode {
    const { copyMode = "background" } = this.#options;
    if (copyMode === "write-blocking") this.#blocking.add(jobId);
    return copyMode;
  }

  /** Whether the guest's writes to a disk wait for the destination, or may do so. */
  get isBlocking(): boolean {
    return this.#adopted || this.#blocking.size > 0;
  }

  /** The members of a disk's progress that say how long the guest waits. */
  of({ name, jobId }: Mirror): { readonly copyMode?: "write-blocking"; readonly writeMs?: number } {
    if (!this.#blocking.has(jobId)) return {};
    const writeMs = this.#waits.get(name);
    return { copyMode: "write-blocking", ...(writeMs === undefined ? {} : { writeMs }) };
  }

  /**
   * Sets a job's mode to write-blocking (`block-job-change`, QEMU 8.2).
   *
   * @param name of the disk.
   * @returns false where QEMU lacks the command or rejects it, or the mode is set already.
   */
  async makeBlocking(name: string): Promise<boolean> {
    const { qmp, log, mirrors } = this.#options;
    const id = mirrors.find((mirror) => mirror.name === name)?.jobId;
    if (id === undefined || this.#blocking.has(id)) return false;
    if (!qmp.hasCommand("block-job-change")) return false;
    this.#blocking.add(id);
    try {
      const change = { id, type: "mirror", "copy-mode": "write-blocking" } as const;
      await qmp.execute("block-job-change", change);
      return true;
    } catch (error) {
      log.log("info", `disk ${name}: block-job-change: ${messageOf(error)}`);
      return false;
    }
  }

  /**
   * Measures how long the guest's writes took since the last call, where they wait for the destination: the mean, from
   * `query-blockstats`. A QEMU that does not answer leaves the figures out.
   */
  async measure(): Promise<void> {
    if (this.#blocking.size === 0) return;
    const now = await writeTimes(this.#options.qmp).catch(() => new Map<string, WriteTime>());
    const before = this.#times;
    this.#times = now;
    this.#waits = new Map([...now].flatMap(([name, { operations, totalNs }]) => {
      const then = before.get(name);
      const writes = operations - (then?.operations ?? operations);
      return writes > 0 ? [[name, (totalNs - then!.totalNs) / writes / 1e6]] : [];
    }));
  }
}
