import { assertEquals } from "@std/assert";
import { startTied } from "../../../src/cli/copy/tied_program.ts";
import { delay, systemClock } from "../../../src/io/mod.ts";

Deno.test("a program that takes no notice of SIGTERM at first is ended all the same", async () => {
  const directory = await Deno.makeTempDir();
  try {
    // As a qemu-nbd that listens already and is not ready yet.
    const script =
      'trap "" TERM; : >"$1"; sleep 1; trap "exit 7" TERM; while :; do sleep 0.1; done';
    const program = startTied(["sh", "-c", script, "sh", `${directory}/listens`]);
    while ([...Deno.readDirSync(directory)].length === 0) await delay(systemClock, 10);
    assertEquals((await program.stop()).code, 7);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
