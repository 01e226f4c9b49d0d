import type { Clock } from "../../io/mod.ts";
import { Convergence, type Finding } from "./convergence.ts";
import type { Phase, RamProgress, Report } from "../events.ts";
import type { Held } from "../guest/pauses.ts";
import type { MirrorSet } from "../disks/mirror_set.ts";
import type { Ram } from "../source/ram.ts";

/** How often progress is told, ms. */
const EVERY_MS = 500;
/** What the first moments move says nothing of the rest, ms. */
const ETA_AFTER_MS = 2_000;
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
  readonly #hold: (disk: string) => Promise<Held | undefined>;
  readonly #convergence = new Convergence();
  #ram: Ram | undefined;
  #phase: Phase = "mirror";
  #stopTimer: () => void = () => {};
  #stopped = false;
  #bytes: number;
  #at: number;
  readonly #since: number;
  #rate: number | undefined;

  constructor(
    options: {
      clock: Clock;
      report: Report;
      mirrors: MirrorSet;
      crossed: () => number;
      /** Called when what is left is only what the guest changes, now and then. */
      onceThrough: () => void;
      /** Holds the guest for a moment, in which a disk that is nearly in step gets there. */
      hold: (disk: string) => Promise<Held | undefined>;
    },
  ) {
    this.#onceThrough = options.onceThrough;
    this.#hold = options.hold;
    this.#clock = options.clock;
    this.#report = options.report;
    this.#mirrors = options.mirrors;
    this.#crossed = options.crossed;
    this.#bytes = options.crossed();
    this.#at = this.#since = options.clock.now();
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
      // What helped the one before may have helped this one too.
      if (finding.kind === "disk" && finding.close && this.#isReady(finding.name)) continue;
      this.#report({ event: "warning", ...wordsOn(finding, await this.#help(finding)) });
    }
    if (this.#phase === "ram" || this.#convergence.onceThrough) this.#onceThrough();
  }

  #isReady(disk: string): boolean {
    return this.#mirrors.progress.some(({ name, ready }) => name === disk && ready);
  }

  async #help(finding: Finding): Promise<Help> {
    if (finding.kind === "ram") return "none";
    if (await this.#mirrors.makeBlocking(finding.name)) return "blocking";
    return finding.close ? await this.#hold(finding.name) ?? "none" : "none";
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
      eta: rate > 0 && now - this.#since >= ETA_AFTER_MS ? Math.ceil(left / rate) : null,
    });
  }
}

/** What was done about a finding. */
type Help = "none" | "blocking" | Held;

const MORE = "Give it more bandwidth ('vmferry set bandwidth=…')";

function wordsOn(finding: Finding, help: Help): { code: string; message: string } {
  if (finding.kind === "ram") {
    return {
      code: "ram-not-converging",
      // Not QEMU's rate of changes: what is changed over and over counts in it once a round.
      message: `Each round through memory leaves as much to send as the one before, ` +
        `${inMiB(finding.left)}, and ${perSecond(finding.rate)} get through: it will not be done ` +
        `by itself. ${MORE} or a ` +
        "longer downtime ('vmferry set max-downtime=…'), or pause the guest for the rest ('vmferry set pause=when-copied')",
    };
  }
  const { name, written, copied, close } = finding;
  const rates = close
    ? `Disk ${name} is nearly in step and does not get there: the guest writes again before the ` +
      "destination has answered for what it wrote last"
    : `The guest writes ${perSecond(written)} to disk ${name} and ${perSecond(copied)} get through`;
  if (help === "blocking") {
    return {
      code: "mirror-write-blocking",
      message: `${rates}; from now on the guest's writes wait until the destination has them too`,
    };
  }
  if (help !== "none" && help.done) {
    return {
      code: "guest-held",
      message: `${rates}; the guest was held for ${
        Math.round(help.ms)
      } ms, in which the disk got there`,
    };
  }
  const held = help === "none"
    ? ""
    : `. That it was held for ${Math.round(help.ms)} ms did not help`;
  return {
    code: "mirror-not-converging",
    message: close
      ? `${rates}${held}. Let it write less often, or pause the guest for the rest ('vmferry set pause=when-copied')`
      : `${rates}: the disk will not get in step by itself. ${MORE}, or see ` +
        "--timeout-action suspend",
  };
}

/** Bytes per second, as a rate. */
function perSecond(rate: number): string {
  return `${inMiB(rate)}/s`;
}

function inMiB(bytes: number): string {
  const mib = bytes / (1024 * 1024);
  return `${mib.toFixed(mib < 10 ? 1 : 0)} MiB`;
}
