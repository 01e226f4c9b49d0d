import { assertEquals, assertRejects } from "@std/assert";
import { encodeHex } from "@std/encoding/hex";
import { ownProgram, packedFile, runningFile } from "../../../src/cli/endpoint/own_program.ts";
import { InputError } from "../../../src/transport/mod.ts";
import { inDirectory } from "../../support/in_directory.ts";

const STUB = new TextEncoder().encode("#!/bin/sh\nfail() { exit 1; }\nexec deno\nexit 1\n");

/** A packed program in `dir`, and where it has unpacked its Deno. */
async function pack(dir: string, content: number): Promise<{ file: string; deno: string }> {
  const archive = Uint8Array.of(0x1f, 0x8b, 8, content);
  const hash = encodeHex(new Uint8Array(await crypto.subtle.digest("SHA-256", archive)));
  const unpacked = `${dir}/${hash.slice(0, 32)}`;
  await Deno.mkdir(unpacked);
  await Deno.writeFile(`${unpacked}/deno`, new Uint8Array(1000));
  await Deno.writeFile(`${unpacked}/vmferry.js`, new Uint8Array(100));
  const file = `${dir}/vmferry-${content}`;
  await Deno.writeFile(file, Uint8Array.of(...STUB, ...archive));
  return { file, deno: `${unpacked}/deno` };
}

Deno.test("a packed program's file is read as it is, with the room that it takes unpacked", async () => {
  await inDirectory(async (dir) => {
    const { file, deno } = await pack(dir, 1);
    const bytes = await Deno.readFile(file);
    assertEquals(await packedFile(file, deno), { bytes, roomBytes: bytes.length + 1100 });
  });
});

Deno.test("a packed program's file that was replaced or removed is not taken for its own", async () => {
  await inDirectory(async (dir) => {
    const { file, deno } = await pack(dir, 1);
    const { file: other } = await pack(dir, 2);
    await Deno.rename(other, file);
    await assertRejects(() => packedFile(file, deno), InputError, "has been replaced since");
    await Deno.writeTextFile(file, "something else");
    await assertRejects(() => packedFile(file, deno), InputError, "has been replaced since");
    await Deno.remove(file);
    await assertRejects(() => packedFile(file, deno), InputError, "can't be read");
    await assertRejects(() => packedFile("", deno), InputError, "was not started by its file");
  });
});

Deno.test("a compiled program's file is the one that runs", async () => {
  const { bytes, roomBytes } = await runningFile();
  const { size } = await Deno.stat(Deno.execPath());
  assertEquals([bytes.length, roomBytes], [size, size]);
});

Deno.test("a program that runs from its sources has no file to send", async () => {
  await assertRejects(() => ownProgram().read(), InputError, "runs from its sources");
});
