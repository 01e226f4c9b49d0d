/** The program, for `deno run`. */
export const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** How a run of the program ended, and its output. */
export interface Ended {
  readonly code: number;
  readonly stderr: string;
  readonly stdout: string;
}

/**
 * Runs the program; its standard input stays open after the typed text. Sends SIGTERM when its output
 * matches `until`.
 */
export async function vmferry(args: string[], typed = "", until?: RegExp): Promise<Ended> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "-A", MAIN, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(typed)).catch(() => {});
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const text = async (stream: ReadableStream<Uint8Array>) => {
    let all = "";
    let isTold = false;
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      all += part;
      if (isTold || !until?.test(all)) continue;
      isTold = true;
      child.kill("SIGTERM");
    }
    return all;
  };
  const [stdout, stderr, { code }] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    child.status,
  ]);
  clearTimeout(timer);
  await writer.close().catch(() => {});
  return { code, stdout, stderr };
}
