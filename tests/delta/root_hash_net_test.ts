import { assertEquals } from "@std/assert";
import { hashBlocks, PAGE_BYTES } from "../../src/delta/block_hashes.ts";
import { pageDigest, RootHash } from "../../src/delta/root_hash.ts";

const python = await new Deno.Command("python3", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name: "the script in docs/reference/verify.md computes the root hash that vmferry reports",
  ignore: !python,
  async fn() {
    const docs = await Deno.readTextFile(
      new URL("../../docs/reference/verify.md", import.meta.url),
    );
    const script = /```python\n(.*?)```/s.exec(docs)![1]!;
    const bytes = new Uint8Array(PAGE_BYTES + 3 * 65536 + 512);
    crypto.getRandomValues(bytes.subarray(65536, 2 * 65536));
    bytes.fill(7, PAGE_BYTES + 65536 + 9);
    const path = await Deno.makeTempFile();
    try {
      await Deno.writeFile(path, bytes);
      const { stdout } = await new Deno.Command("python3", { args: ["-c", script, path] }).output();
      assertEquals(new TextDecoder().decode(stdout).trim(), await rootOf(bytes));
    } finally {
      await Deno.remove(path);
    }
  },
});

async function rootOf(bytes: Uint8Array): Promise<string | null> {
  const source = {
    sizeBytes: bytes.length,
    read: (offset: number, length: number) => Promise.resolve(bytes.slice(offset, offset + length)),
    extents: () => Promise.resolve([]),
  };
  const root = new RootHash(bytes.length);
  for (let page = 0; page < root.pages; page++) {
    const offset = page * PAGE_BYTES;
    const length = Math.min(PAGE_BYTES, bytes.length - offset);
    root.set(page, await pageDigest(await hashBlocks(source, { offset, length })));
  }
  return await root.value();
}
