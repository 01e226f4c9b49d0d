import { assert, assertEquals } from "@std/assert";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** `vmferry status --watch`, interrupted once it has printed `until`. */
async function watched(args: readonly string[], until: string, onTerminal: boolean) {
  const runs = await Deno.makeTempDir();
  const argv = [Deno.execPath(), "run", "-A", "--no-check", MAIN, "status", "--watch"];
  const all = [...argv, "--run-dir", runs, ...args];
  const piped = { stdin: "piped", stdout: "piped" } as const;
  await using child = onTerminal
    ? new Deno.Command("script", {
      args: ["-qefc", `exec ${all.join(" ")}`, "/dev/null"],
      ...piped,
    }).spawn()
    : new Deno.Command(all[0]!, { args: all.slice(1), ...piped }).spawn();
  const late = setTimeout(() => child.kill("SIGKILL"), 60_000);
  let text = "";
  let isInterrupted = false;
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (isInterrupted || !text.includes(until)) continue;
    isInterrupted = true;
    if (!onTerminal) child.kill("SIGINT");
    else {
      // Ctrl-C.
      const writer = child.stdin.getWriter();
      await writer.write(new Uint8Array([3]));
      writer.releaseLock();
    }
  }
  const { code } = await child.status;
  clearTimeout(late);
  await Deno.remove(runs, { recursive: true });
  return { text, code };
}

Deno.test("status --watch on a terminal takes the whole of it, and gives it back at Ctrl-C", async () => {
  const { text, code } = await watched([], "No migration runs here", true);
  assertEquals(code, 0);
  const begin = text.indexOf("\x1b[?1049h");
  const end = text.indexOf("\x1b[?1049l");
  assert(begin >= 0 && end > begin, JSON.stringify(text));
  // What was seen last stays to be read.
  assert(text.slice(end).includes("No migration runs here"), JSON.stringify(text));
});

Deno.test("status --watch without a terminal prints again and again, and ends with a signal", async () => {
  const { text, code } = await watched([], "No migration runs here", false);
  assertEquals(code, 0);
  assert(!text.includes("\x1b"));
});
