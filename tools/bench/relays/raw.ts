/**
 * One raw byte stream between two processes that do nothing else.
 *
 * @module
 */
import { listening } from "../ground.ts";
import { project } from "../../run.ts";

const RUN = ["run", "-A", "--no-check", project("tools/bench/relays/raw_end.ts")];

/** A process that takes bytes; others send to it. */
export class RawBench implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  /** Where it listens. */
  readonly targetSocket: string;

  static async start(dir: string): Promise<RawBench> {
    const path = `${dir}/sink.sock`;
    const child = new Deno.Command(Deno.execPath(), { args: [...RUN, "sink", path] }).spawn();
    await listening(path);
    return new RawBench(child, path);
  }

  private constructor(child: Deno.ChildProcess, path: string) {
    this.#child = child;
    this.targetSocket = path;
  }

  /** Sends `bytes` to what `path` leads to; returns seconds from the first byte to the other's end. */
  async run(path: string, bytes: number): Promise<number> {
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: [...RUN, "source", path, String(bytes)],
      stdout: "piped",
    }).output();
    if (!success) throw new Error(`The raw stream to ${path} failed`);
    return Number(new TextDecoder().decode(stdout));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}
