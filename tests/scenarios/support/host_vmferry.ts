import { delay, systemClock } from "../../../src/io/mod.ts";
import { Vmferry, type VmferryOptions } from "./vmferry.ts";

/**
 * A vmferry on a host of the lab. nsenter is its parent, as a process enters a PID namespace only by
 * fork, and passes no signal on: signals go to vmferry itself.
 */
export class HostVmferry extends Vmferry {
  constructor(options: VmferryOptions) {
    // The lab's cable may be slow.
    super({ isHeldBack: true, ...options });
  }

  /** vmferry's own pid, as the scenario's PID namespace has it. */
  override get pid(): number {
    const parent = super.pid;
    const children = Deno.readTextFileSync(`/proc/${parent}/task/${parent}/children`).trim();
    const child = Number(children.split(" ")[0]);
    if (!(child > 0)) throw new Error(`${this.name}: vmferry has ended`);
    return child;
  }

  override signal(name: Deno.Signal): void {
    Deno.kill(this.pid, name);
    // nsenter stops with its child.
    if (name === "SIGCONT") super.signal(name);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    for (const [name, waitMs] of [["SIGTERM", 5000], ["SIGKILL", 2000]] as const) {
      try {
        this.signal("SIGCONT");
        this.signal(name);
      } catch {
        break; // it has ended
      }
      const exited = this.exit(waitMs).then(() => true, () => false);
      if (await Promise.race([exited, delay(systemClock, waitMs + 100).then(() => false)])) break;
    }
    await super[Symbol.asyncDispose]();
  }
}
