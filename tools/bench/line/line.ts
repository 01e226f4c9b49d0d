import { freePort, listening } from "../ground.ts";
import { project } from "../../run.ts";

/** A link with a delay and a rate, in a process of its own, until it is disposed. */
export interface Line extends AsyncDisposable {
  /** Connect to this port. */
  readonly near: number;
  /** Each connection arrives at this one. */
  readonly far: number;
}

/**
 * Starts one on loopback.
 *
 * @param rttMs round-trip time, ms.
 * @param mbit rate in each direction, Mbit/s.
 */
export async function startLine(rttMs: number, mbit: number): Promise<Line> {
  const [near, far] = [freePort(), freePort()];
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", project("tools/bench/line/link.ts")],
      ...[near, far, rttMs, mbit].map(String),
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await listening(near);
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}
