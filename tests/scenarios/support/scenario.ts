import type { ReportedError } from "../../../src/migrate/mod.ts";
import { Qemu, type QemuOptions } from "./qemu.ts";
import { Vmferry, type VmferryOptions } from "./vmferry.ts";
import { PATIENCE_MS } from "./waiting.ts";

/** A story with real QEMUs; `tests/scenarios/GROUP/NAME.ts` exports it as `scenario`. */
export interface Scenario {
  /** As the file is called. */
  readonly name: string;
  /** What it shows, as a rule: "a guest crosses with its disks". */
  readonly about: string;
  /** How long it may take on an idle machine, ms; a busy one is allowed more. */
  readonly timeoutMs: number;
  /** Takes minutes: `--all` leaves it out, it runs when it is named. */
  readonly long?: boolean;
  /** Takes a minute or more without KVM: there `--all` leaves it out. `--slow` runs it anywhere. */
  readonly slow?: true;
  /** RAM crosses in several passes, or by post-copy: it is not tried where QEMU cannot (`singlePass`). */
  readonly ramInPasses?: true;
  /**
   * Throws when the rule does not hold.
   *
   * @returns figures worth printing, such as "pause 21 ms".
   */
  run(context: ScenarioContext): Promise<string | void>;
}

/** What has logs that explain a failure. */
interface Logged {
  readonly logs: readonly { title: string; text: string }[];
}

/** What a scenario works with: all that it starts here is ended when the scenario is. */
export class ScenarioContext implements AsyncDisposable {
  /** A directory of its own, with a short path, for images and sockets. */
  readonly dir: string;
  /** Aborted when the time is up. */
  readonly signal: AbortSignal;
  readonly #stack = new AsyncDisposableStack();
  readonly #logged: Logged[] = [];
  readonly #notes: string[] = [];
  readonly #start = performance.now();

  constructor(dir: string, signal: AbortSignal) {
    this.dir = dir;
    this.signal = signal;
  }

  /** Starts a QEMU, in the scenario's directory where no other is named. */
  async qemu(options: Omit<QemuOptions, "dir"> & { readonly dir?: string }): Promise<Qemu> {
    return this.use(await Qemu.start({ dir: this.dir, ...options }));
  }

  /** Starts a vmferry. */
  vmferry(options: VmferryOptions): Vmferry {
    return this.use(new Vmferry(options));
  }

  /** Gives `resource` to the scenario, which ends it, the last first. */
  use<T extends Disposable | AsyncDisposable>(resource: T): T {
    // What comes after the time was up is ended at once: nobody is left to do it later.
    if (this.#stack.disposed) {
      Promise.resolve(dispose(resource)).catch(() => {});
      throw this.signal.reason ?? new Error("The scenario is over");
    }
    if ("logs" in resource) this.#logged.push(resource as unknown as Logged);
    return this.#stack.use(resource);
  }

  /** A line for the report of a failure. */
  note(line: string): void {
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(3);
    this.#notes.push(`${seconds} ${line}`);
  }

  /** Everything that explains a failure. */
  report(): string {
    return [
      { title: "steps", text: this.#notes.join("\n") },
      ...this.#logged.flatMap((l) => l.logs),
    ]
      .filter(({ text }) => text.trim() !== "")
      .map(({ title, text }) => `  --- ${title}\n${indent(text.trimEnd())}`)
      .join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Throws with every fault named, when there is one. */
export function assertNone(faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

function dispose(resource: Disposable | AsyncDisposable): PromiseLike<void> | void {
  return Symbol.asyncDispose in resource
    ? resource[Symbol.asyncDispose]()
    : resource[Symbol.dispose]();
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "    ");
}

/** Waits for a vmferry to end and throws when its exit code is not `expected`. */
export async function assertExit(
  ferry: Vmferry,
  expected: number,
  timeoutMs?: number,
): Promise<void> {
  const code = await ferry.exit(timeoutMs);
  if (code !== expected) {
    throw new Error(`${ferry.name} ended with ${code}, expected ${expected}`);
  }
}

/**
 * Waits for the end and returns the error that it reports. Throws when the exit code or the reason is
 * another one, or when something was not undone.
 *
 * @param reason of `CODE: MESSAGE`.
 */
export async function assertFails(
  ferry: Vmferry,
  code: number,
  reason: RegExp,
  timeoutMs = PATIENCE_MS,
): Promise<ReportedError> {
  await assertExit(ferry, code, timeoutMs);
  const { error } = await ferry.waitEvent("result") as unknown as { error: ReportedError };
  if (!reason.test(`${error?.code}: ${error?.message}`)) {
    throw new Error(`${ferry.name}: got ${JSON.stringify(error)}, expected ${reason}`);
  }
  if (/not undone/i.test(error.message)) throw new Error(`${ferry.name}: ${error.message}`);
  return error;
}

/** Waits for a vmferry to end and throws unless it refused (exit 3) with such a reason. */
export async function assertRefused(ferry: Vmferry, reason: RegExp): Promise<void> {
  await assertExit(ferry, 3);
  const last = ferry.events.entries.at(-1);
  const text = JSON.stringify(last?.error ?? last?.problems ?? null).replaceAll('\\"', '"');
  if (!reason.test(text)) throw new Error(`${ferry.name} said ${text}, expected ${reason}`);
}
