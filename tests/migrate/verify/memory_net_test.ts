import { assert } from "@std/assert";

Deno.test("the proof of a disk of 2 TiB takes at most 64 MiB of memory", async () => {
  const program = new URL("walk_large_disk.ts", import.meta.url).pathname;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--v8-flags=--expose-gc", program],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert(success, text(stderr));
  const mib = Number(text(stdout)) / 2 ** 20;
  assert(mib > 1 && mib <= 64, `${mib.toFixed(1)} MiB`);
});
