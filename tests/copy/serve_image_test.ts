import { assert, assertEquals } from "@std/assert";
import { ServedImage, type ServeOptions } from "../../src/copy/serve_image.ts";
import { memoryPipe } from "../support/memory_pipe.ts";
import { fakeCopyHost } from "./fake_host.ts";

async function argvFor(use: ServeOptions["use"]): Promise<readonly string[]> {
  const started: (readonly string[])[] = [];
  const host = fakeCopyHost({
    startTied: (argv) => {
      started.push(argv);
      const ended = new Promise<never>(() => {});
      return { ended, stop: () => Promise.resolve({ code: 0, stdout: "", stderr: "" }) };
    },
    connectUnix: () => Promise.resolve(memoryPipe()[0]),
  });
  const options = { path: "/vm/a.img", format: "raw", name: "a", use };
  const image = await ServedImage.start(host, options, new AbortController().signal);
  await image.stop();
  assertEquals(started.length, 1);
  return started[0]!;
}

Deno.test("every qemu-nbd keeps the buffers of its requests", async () => {
  for (const use of ["read", "lock", { write: "1 2" }] as const) {
    const argv = await argvFor(use);
    const kept = argv.filter((word) => /^MALLOC_(MMAP|TRIM)_THRESHOLD_=\d+$/.test(word));
    assertEquals(kept.length, 2);
    assert(argv.indexOf("qemu-nbd") > argv.indexOf("env"));
  }
});
