import { assertEquals } from "@std/assert";
import { silentLogger } from "../../src/io/mod.ts";
import { QemuLog } from "../../src/cli/host/qemu_log.ts";

/** Listens on the socket, says a word when it is written to, and ends. */
const STANDS_IN_FOR_QEMU = `
console.error("before");
const listener = Deno.listen({ transport: "unix", path: Deno.args[1] });
console.log("listening");
const conn = await listener.accept();
await conn.read(new Uint8Array(1));
console.error("last word");
Deno.exit(1);
`;

/** What is read of a process whose standard error is `stderr`, a file of `dir` or a pipe. */
async function wordsOf(stderr: "file" | "pipe", title: string): Promise<string | undefined> {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/program.ts`, STANDS_IN_FOR_QEMU);
    const run = [Deno.execPath(), "run", "-A", "--no-config", `${dir}/program.ts`, title];
    const shell = 'log=$1; shift; exec "$@" 2>>"$log"';
    const args = stderr === "file" ? ["-c", shell, "sh", `${dir}/log`] : ["-c", 'exec "$@"', "sh"];
    const child = new Deno.Command("sh", {
      args: [...args, ...run, `${dir}/qmp.sock`],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stdout = child.stdout.getReader();
    await stdout.read();
    await Deno.symlink(`${dir}/qmp.sock`, `${dir}/link`);
    await using log = new QemuLog(`${dir}/link`, silentLogger);
    await log.ready();
    if (stderr === "file") await Deno.remove(`${dir}/log`);
    using conn = await Deno.connect({ transport: "unix", path: `${dir}/qmp.sock` });
    await conn.write(new Uint8Array(1));
    await child.status;
    await stdout.cancel();
    const words = await log.read();
    assertEquals(await log.read(), words, "asked again, the same");
    const rest = await new Response(child.stderr).text();
    if (stderr === "pipe") assertEquals(rest, "before\nlast word\n", "nothing was taken from it");
    return words;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("of a log only new words are read, after its process's end and its deletion", async () => {
  assertEquals(await wordsOf("file", "qemu"), "last word\n");
});

Deno.test("a pipe is left to its reader", async () => {
  assertEquals(await wordsOf("pipe", "qemu"), undefined);
});

Deno.test("what serves the socket and is no QEMU is not quoted", async () => {
  assertEquals(await wordsOf("file", "socat"), undefined);
});

Deno.test("a socket that nobody serves has no log", async () => {
  await using log = new QemuLog("/nonexistent/qmp.sock", silentLogger);
  await log.ready();
  assertEquals(await log.read(), undefined);
});
