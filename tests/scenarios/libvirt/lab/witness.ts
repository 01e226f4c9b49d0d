import { delay, messageOf, systemClock } from "../../../../src/io/mod.ts";
import { assertNone } from "../../support/scenario.ts";
import type { LibvirtHost } from "./host.ts";
import type { LibvirtLab } from "./lab.ts";

/** Length of a window, ms. */
const WINDOW_MS = 300;
/** A guest that runs uses some 100 ms of CPU time in a window, one that is paused at most 15 ms, ns. */
const RUNS_NS = 40_000_000;

/**
 * Looks all the time whether a domain's guest runs on both hosts of a lab: whether QEMU's threads of the
 * guest's CPU use CPU time on both. It asks neither libvirt nor QEMU, so that a stopped daemon hides
 * nothing. A handover may fall into one window: two in a row show a guest that runs twice.
 */
export class Witness implements AsyncDisposable {
  readonly #hosts: readonly LibvirtHost[];
  readonly #name: string;
  readonly #faults: string[] = [];
  readonly #looking: Promise<void>;
  /** Windows in which the guest ran on no host, on one, on both. */
  readonly #windows = [0, 0, 0];
  #inARow = 0;
  #over = false;

  /** Begins to look. */
  constructor(lab: LibvirtLab, name: string) {
    this.#hosts = [lab.source, lab.destination];
    this.#name = name;
    this.#looking = this.#look();
  }

  /** For a failure's report. */
  get logs(): { title: string; text: string }[] {
    const text = `the guest ran on 0, 1, 2 hosts in ${this.#windows.join(", ")} windows`;
    return [{ title: "the witness", text: [text, ...this.#faults].join("\n") }];
  }

  /** Throws when the guest was seen running on both hosts, or nothing was seen at all. */
  assertNeverTwice(): void {
    assertNone(this.#faults.slice(0, 1));
    if (this.#windows[1] === 0) throw new Error("The witness has not seen the guest run at all");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    await this.#looking;
  }

  async #look(): Promise<void> {
    let before = await this.#clocks();
    while (!this.#over) {
      await delay(systemClock, WINDOW_MS);
      try {
        const after = await this.#clocks();
        const running = after.filter((ns, i) => ns - (before[i] ?? ns) > RUNS_NS).length;
        before = after;
        this.#windows[running]!++;
        this.#inARow = running === 2 ? this.#inARow + 1 : 0;
        if (this.#inARow === 2) {
          this.#faults.push(`${new Date().toISOString()}: the guest runs on both hosts`);
        }
      } catch (error) {
        this.#faults.push(messageOf(error));
      }
    }
  }

  async #clocks(): Promise<number[]> {
    return await Promise.all(this.#hosts.map((host) => cpuTime(host, this.#name)));
  }
}

/** The CPU time of the guest's CPUs on a host, ns; 0 where there is none. */
async function cpuTime(host: LibvirtHost, name: string): Promise<number> {
  const read = (path: string) => Deno.readTextFile(host.file(path)).catch(() => "");
  const pid = (await read(`/run/libvirt/qemu/${name}.pid`)).trim();
  if (pid === "") return 0;
  const tasks = `/proc/${pid}/task`;
  let sum = 0;
  try {
    for await (const { name: task } of Deno.readDir(host.file(tasks))) {
      if (!(await read(`${tasks}/${task}/comm`)).startsWith("CPU ")) continue;
      sum += Number((await read(`${tasks}/${task}/schedstat`)).split(" ")[0]);
    }
  } catch {
    return 0; // QEMU has just ended
  }
  return sum;
}
