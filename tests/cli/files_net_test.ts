import { assert, assertEquals, assertRejects } from "@std/assert";
import { PrivateRunDir } from "../../src/cli/run_dir.ts";
import { readSecret } from "../../src/cli/secret.ts";
import { UsageError } from "../../src/cli/usage_error.ts";

async function inFolder(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a secret is read without the line's end, from a file that nobody else can use", async () => {
  await inFolder(async (dir) => {
    const path = `${dir}/secret`;
    await Deno.writeTextFile(path, "0123456789abcdef\r\n", { mode: 0o600 });
    assertEquals(new TextDecoder().decode(await readSecret(path)), "0123456789abcdef");
    for (const mode of [0o640, 0o604, 0o660]) {
      await Deno.chmod(path, mode);
      const error = await assertRejects(() => readSecret(path), UsageError, "chmod 600");
      assert(!error.message.includes("0123456789abcdef"));
    }
  });
});

Deno.test("a secret that is too short, too long, missing or no file is refused without being shown", async () => {
  await inFolder(async (dir) => {
    const path = `${dir}/secret`;
    await Deno.writeTextFile(path, "0123456789abcde\n", { mode: 0o600 });
    await assertRejects(() => readSecret(path), UsageError, "holds 15 bytes, expected 16 to 4096");
    await Deno.writeFile(path, new Uint8Array(4096).fill(65));
    assertEquals((await readSecret(path)).length, 4096);
    await Deno.writeFile(path, new Uint8Array(4097).fill(65));
    await assertRejects(() => readSecret(path), UsageError, "more than 4096 bytes");
    await assertRejects(() => readSecret(`${dir}/none`), UsageError, "No such file");
    await assertRejects(() => readSecret(dir), UsageError, "regular file");
  });
});

Deno.test("a run directory is its owner's alone and leaves nothing, not even a base it made", async () => {
  await inFolder(async (dir) => {
    const run = await PrivateRunDir.make(`${dir}/base`);
    const folder = run.path("x").slice(0, -2);
    assertEquals((await Deno.stat(folder)).mode! & 0o777, 0o700);
    await Deno.writeTextFile(run.path("left"), "over");
    await run[Symbol.asyncDispose]();
    assertEquals([...Deno.readDirSync(dir)], []);
  });
});

Deno.test("a run directory whose sockets would have no name left is refused", async () => {
  const long = `/tmp/${"x".repeat(80)}`;
  await assertRejects(() => PrivateRunDir.make(long), UsageError, "107 bytes at most");
  for (const where of ["/proc/none/x", "/dev/shm", "/dev/shm/x"]) {
    await assertRejects(() => PrivateRunDir.make(where), UsageError, "can't make a folder");
  }
});
