import type { Clock } from "../io/mod.ts";
import { Convergence, type Finding } from "./convergence.ts";
import type { Phase, RamProgress, Report } from "./events.ts";
import type { MirrorSet } from "./mirrors.ts";
import type { Ram } from "./ram.ts";

/** How often progress is told, ms. */
const EVERY_MS = 500;
/** Weight of the newest rate in the mean that is shown. */
const SMOOTHING = 0.3;

/** Tells how far things are, twice a second, until it is stopped. */
export class ProgressTicker {
  readonly #clock: Clock;
  readonly #report: Report;
  readonly #mirrors: MirrorSet;
  /** Bytes that crossed so far. */
  readonly #crossed: () => number;
  readonly #onceThrough: () => void;
  readonly #convergence = new Convergence();
  #ram: Ram | undefined;
  #phase: Phase = "mirror";
  #stopTimer: () => void = () => {};
  #stopped = false;
  #bytes: number;
  #at: number;
  #rate: number | undefined;

  constructor(
    options: {
      clock: Clock;
      report: Report;
      mirrors: MirrorSet;
      crossed: () => number;
      /** Called when what is left is only what the guest changes, now and then. */
      onceThrough: () => void;
    },
  ) {
    this.#onceThrough = options.onceThrough;
    this.#clock = options.clock;
    this.#report = options.report;
    this.#mirrors = options.mirrors;
    this.#crossed = options.crossed;
    this.#bytes = options.crossed();
    this.#at = options.clock.now();
    this.#arm();
  }

  phase(phase: Phase): void {
    this.#phase = phase;
  }

  withRam(ram: Ram): void {
    this.#ram = ram;
  }

  /** Stops; the last figures of the disks are told once more. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stopTimer();
    this.#tell(null);
  }

  #arm(): void {
    this.#stopTimer = this.#clock.after(EVERY_MS, () => this.#tick());
  }

  async #tick(): Promise<void> {
    // A QEMU that does not answer is found out elsewhere; progress only has nothing to say then.
    const ram = await this.#ram?.progress().catch(() => null) ?? null;
    if (this.#stopped) return;
    this.#tell(ram);
    await this.#judge(ram);
    if (this.#stopped) return;
    this.#arm();
  }

  /** What will never be done by itself is helped, where QEMU can, and told of in any case. */
  async #judge(ram: RamProgress | null): Promise<void> {
    const [now, rate] = [this.#clock.now(), this.#rate ?? 0];
    const disks = this.#mirrors.progress;
    for (const finding of this.#convergence.look({ now, disks, ram, rate })) {
      const helped = finding.kind === "disk" && await this.#mirrors.makeBlocking(finding.name);
      this.#report({ event: "warning", ...wordsOn(finding, helped) });
    }
    if (this.#phase === "ram" || this.#convergence.onceThrough) this.#onceThrough();
  }

  #tell(ram: RamProgress | null): void {
    const now = this.#clock.now();
    const bytes = this.#crossed();
    if (now > this.#at) {
      const rate = (bytes - this.#bytes) * 1000 / (now - this.#at);
      this.#rate = this.#rate === undefined ? rate : this.#rate + SMOOTHING * (rate - this.#rate);
      [this.#bytes, this.#at] = [bytes, now];
    }
    const rate = Math.round(this.#rate ?? 0);
    const disks = this.#mirrors.progress;
    const left = disks.reduce((sum, d) => sum + d.total - d.transferred, 0) + (ram?.remaining ?? 0);
    this.#report({
      event: "progress",
      phase: this.#phase,
      disks,
      ram,
      rate,
      eta: rate > 0 ? Math.ceil(left / rate) : null,
    });
  }
}

const MORE = "Give it more bandwidth ('vmferry set bandwidth=…')";

function wordsOn(finding: Finding, helped: boolean): { code: string; message: string } {
  if (finding.kind === "ram") {
    return {
      code: "ram-not-converging",
      message: `The guest changes ${perSecond(finding.dirtyRate)} of its memory and ` +
        `${perSecond(finding.rate)} get through: it will not be done by itself. ${MORE} or a ` +
        "longer downtime ('vmferry set max-downtime=…'), or see --timeout-action suspend",
    };
  }
  const { name, written, copied, close } = finding;
  const rates = close
    ? `Disk ${name} is nearly in step and does not get there: the guest writes again before the ` +
      "destination has answered for what it wrote last"
    : `The guest writes ${perSecond(written)} to disk ${name} and ${perSecond(copied)} get through`;
  return helped
    ? {
      code: "mirror-write-blocking",
      message: `${rates}; from now on the guest's writes wait until the destination has them too`,
    }
    : {
      code: "mirror-not-converging",
      message: close
        ? `${rates}. Let it write less often, or see --timeout-action suspend; a QEMU from 8.2 on ` +
          "is helped by itself"
        : `${rates}: the disk will not get in step by itself. ${MORE}, or see ` +
          "--timeout-action suspend",
    };
}

/** Bytes per second, as a rate. */
function perSecond(rate: number): string {
  const mib = rate / (1024 * 1024);
  return `${mib.toFixed(mib < 10 ? 1 : 0)} MiB/s`;
}
