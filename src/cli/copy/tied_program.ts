/**
 * Programs that end with vmferry, also when that is killed: their shell waits for the end of its standard
 * input, which only vmferry has open.
 *
 * @module
 */
import { systemClock, withDeadline } from "../../io/mod.ts";
import type { TiedProgram } from "../../copy/mod.ts";
import type { ProgramResult } from "../../host/mod.ts";
import { killGroup } from "../host/run_program.ts";

/** How long a program may take to end in order, ms: it may have to write what it has in memory. */
const STOP_MS = 60_000;
/** Most bytes that are kept of its standard error. */
const MAX_OUTPUT = 64 * 1024;

/**
 * The terminal's signals are for vmferry, which decides when the program ends. qemu-nbd listens some time before it
 * takes notice of SIGTERM: one signal could be lost.
 */
const SCRIPT = `
trap "" INT HUP
export LC_ALL=C
exec 3<&0 </dev/null
"$@" 3<&- & program=$!
{ read -r line <&3; while kill -s TERM "$program"; do sleep 0.2 || sleep 1; done; } >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$program"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
`;

/** Starts a program, as `CopyHost.startTied` says. */
export function startTied(argv: readonly string[]): TiedProgram {
  const child = new Deno.Command("sh", {
    args: ["-c", SCRIPT, "sh", ...argv],
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
    detached: true,
  }).spawn();
  const ended = result(child);
  let stopping: Promise<ProgramResult> | undefined;
  return {
    ended,
    stop: () =>
      stopping ??= (async () => {
        await child.stdin.close().catch(() => {});
        try {
          return await withDeadline(systemClock, STOP_MS, "a program to end", ended);
        } catch {
          await killGroup(child);
          return await ended;
        }
      })(),
  };
}

async function result(child: Deno.ChildProcess): Promise<ProgramResult> {
  const stderr = text(child.stderr);
  const { code } = await child.status;
  await child.stdin.close().catch(() => {});
  return { code, stdout: "", stderr: await stderr };
}

/** Never rejects. */
async function text(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const bytes of stream) {
      if (text.length < MAX_OUTPUT) text += decoder.decode(bytes, { stream: true });
    }
  } catch {
    // The pipe is closed.
  }
  return text;
}
