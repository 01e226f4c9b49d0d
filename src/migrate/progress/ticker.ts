import type { Clock } from "../../io/mod.ts";
import { Convergence, type Finding } from "./convergence.ts";
import type { LadderSteps } from "./ladder_steps.ts";
import { perSecond } from "./ladder_words.ts";
import { compressionOf, type Phase, type RamProgress, type Report } from "../events.ts";
import type { WarningCode } from "../warning_table.ts";
import type { GuestPauses, Held } from "../guest/pauses.ts";
import type { MirrorSet } from "../disks/mirror_set.ts";
import type { Ram } from "../ram/ram.ts";

/** Interval of the progress events, ms. */
const EVERY_MS = 500;
/** When the rate is first good enough for an estimate, ms after the start. */
const ETA_AFTER_MS = 2_000;
/** Weight of the newest rate in the reported mean. */
const SMOOTHING = 0.3;

/** The migration, as far as its progress needs it. */
export interface ProgressContext {
  readonly clock: Clock;
  readonly report: Report;
  /** Bytes that crossed so far, both directions. */
  readonly bytes: number;
  /** As many as there would be without compression: what the rate counts. */
  readonly carried: number;
  /** Pauses the guest on request, once everything was copied once. */
  readonly pauses: Pick<GuestPauses, "due">;
  /** Helps RAM that does not converge. */
  readonly ladder: Pick<LadderSteps, "look">;
}

/** Reports the progress twice a second until it is stopped. */
export class ProgressTicker {
  readonly #context: ProgressContext;
  readonly #mirrors: MirrorSet;
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

  /** @param hold pauses the guest briefly, so that an almost ready mirror becomes ready. */
  constructor(
    context: ProgressContext,
    mirrors: MirrorSet,
    hold: (disk: string) => Promise<Held | undefined>,
  ) {
    this.#context = context;
    this.#mirrors = mirrors;
    this.#hold = hold;
    this.#bytes = context.carried;
    this.#at = this.#since = context.clock.now();
    this.#arm();
  }

  /** Bytes of all disks that were not sent, because the destination had them. */
  get skipped(): number {
    return this.#mirrors.progress.reduce((sum, { skipped = 0 }) => sum + skipped, 0);
  }

  phase(phase: Phase): void {
    this.#phase = phase;
  }

  withRam(ram: Ram): void {
    this.#ram = ram;
  }

  /** Stops, after one last report of the disks' progress. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stopTimer();
    this.#tell(null);
  }

  #arm(): void {
    this.#stopTimer = this.#context.clock.after(EVERY_MS, () => this.#tick());
  }

  async #tick(): Promise<void> {
    // A QEMU that does not answer is reported elsewhere; the RAM's progress is then left out.
    const ram = await this.#ram?.progress().catch(() => null) ?? null;
    await this.#mirrors.measureWaits();
    if (this.#stopped) return;
    this.#tell(ram);
    await this.#judge(ram);
    if (this.#stopped) return;
    this.#arm();
  }

  /** Reports what will not converge by itself, after trying to help it. */
  async #judge(ram: RamProgress | null): Promise<void> {
    if (ram) this.#context.ladder.look(ram);
    const now = this.#context.clock.now();
    for (const finding of this.#convergence.look({ now, disks: this.#mirrors.progress })) {
      // The help for an earlier finding may have made this disk ready too.
      if (finding.close && this.#isReady(finding.name)) continue;
      this.#context.report({ event: "warning", ...wordsOn(finding, await this.#help(finding)) });
    }
    // A paused guest would wait for the comparison of all disks.
    const isCopied = this.#phase === "mirror" && this.#convergence.onceThrough;
    if (this.#phase === "ram" || isCopied) this.#context.pauses.due();
  }

  #isReady(disk: string): boolean {
    return this.#mirrors.progress.some(({ name, ready }) => name === disk && ready);
  }

  async #help(finding: Finding): Promise<Help> {
    if (await this.#mirrors.makeBlocking(finding.name)) return "blocking";
    return finding.close ? await this.#hold(finding.name) ?? "none" : "none";
  }

  #tell(ram: RamProgress | null): void {
    const now = this.#context.clock.now();
    const { bytes: crossed, carried: bytes } = this.#context;
    if (now > this.#at) {
      const rate = (bytes - this.#bytes) * 1000 / (now - this.#at);
      this.#rate = this.#rate === undefined ? rate : this.#rate + SMOOTHING * (rate - this.#rate);
      [this.#bytes, this.#at] = [bytes, now];
    }
    const rate = Math.round(this.#rate ?? 0);
    const disks = this.#mirrors.progress;
    const left = disks.reduce((sum, d) => sum + d.total - d.transferred, 0) + (ram?.remaining ?? 0);
    this.#context.report({
      event: "progress",
      phase: this.#phase,
      disks,
      ram,
      rate,
      eta: rate > 0 && now - this.#since >= ETA_AFTER_MS ? Math.ceil(left / rate) : null,
      ...compressionOf(crossed, bytes),
    });
  }
}

/** How vmferry helped: it did not, it set the mirror to write-blocking, or it paused the guest. */
type Help = "none" | "blocking" | Held;

const MORE = "Allow more bandwidth ('vmferry set bandwidth=…')";
const PAUSE = "pause the guest for the rest ('vmferry set pause=when-copied')";

function wordsOn(finding: Finding, help: Help): { code: WarningCode; message: string } {
  const { name, written, copied, close } = finding;
  const rates = close
    ? `The mirror of disk ${name} does not become ready: the guest writes again before the ` +
      "destination has confirmed its last write"
    : `The guest writes ${perSecond(written)} to disk ${name}, and the mirror copies ${
      perSecond(copied)
    }`;
  if (help === "blocking") {
    return {
      code: "mirror-write-blocking",
      message: `${rates}. From now on each write of the guest waits for the destination`,
    };
  }
  if (help !== "none" && help.done) {
    return {
      code: "guest-held",
      message: `${rates}. A pause of the guest for ${Math.round(help.ms)} ms made it ready`,
    };
  }
  const paused = help === "none"
    ? ""
    : `. Pausing the guest for ${Math.round(help.ms)} ms did not help`;
  return {
    code: "mirror-not-converging",
    message: close
      ? `${rates}${paused}. Reduce its writes, or ${PAUSE}`
      : `${rates}: it will not become ready by itself. ${MORE}, or ${PAUSE}`,
  };
}
