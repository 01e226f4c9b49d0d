import { type Logger, systemClock } from "../../io/mod.ts";
import type { CopyHost } from "../../copy/mod.ts";
import { connectUnix } from "../../transport/mod.ts";
import type { PrivateRunDir } from "../run/run_dir.ts";
import { runProgram } from "../host/run_program.ts";
import { startTied } from "./tied_program.ts";

/** This host as one of the two of a copy. The sockets lie in `dir`. */
export async function copyHost(dir: PrivateRunDir, log: Logger): Promise<CopyHost> {
  const script = ["sh", "-c", 'printf %s "$HOME"'];
  const { stdout: home } = await runProgram(script, { timeoutMs: 10_000 });
  return {
    run: runProgram,
    startTied,
    connectUnix: (path) => connectUnix(path),
    socketPath: (name) => dir.own(name),
    home: home.startsWith("/") ? home : undefined,
    clock: systemClock,
    log,
  };
}
