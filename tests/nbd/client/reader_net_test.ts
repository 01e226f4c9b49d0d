import { assertEquals } from "@std/assert";
import { NbdReader } from "../../../src/nbd/mod.ts";
import { connectUnix } from "../../../src/transport/mod.ts";
import { poll } from "../../scenarios/support/waiting.ts";

const MiB = 1 << 20;

Deno.test("an export of qemu-nbd is read with its holes", async () => {
  const dir = await Deno.makeTempDir({ prefix: "vmferry-nbd-" });
  const [image, socket] = [`${dir}/disk.raw`, `${dir}/nbd.sock`];
  const data = crypto.getRandomValues(new Uint8Array(65536));
  {
    using file = await Deno.open(image, { createNew: true, write: true });
    await file.truncate(8 * MiB);
    await file.seek(4 * MiB, Deno.SeekMode.Start);
    await file.write(data);
  }
  const server = new Deno.Command("qemu-nbd", {
    args: ["--persistent", "--shared=2", "-r", "-f", "raw", "-x", "disk", "-k", socket, image],
    ...{ stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
  try {
    const pipe = await poll("qemu-nbd to listen", () => connectUnix(socket).catch(() => undefined));
    using reader = await NbdReader.open(pipe, "disk");
    assertEquals(reader.sizeBytes, 8 * MiB);
    const reads = [0, 1, 2, 3].map((i) => reader.read(4 * MiB + i * 16384, 16384));
    for (const [i, read] of (await Promise.all(reads)).entries()) {
      assertEquals(read, data.subarray(i * 16384, (i + 1) * 16384));
    }
    const extents = await reader.extents(0, 8 * MiB);
    assertEquals(extents.reduce((sum, { length }) => sum + length, 0), 8 * MiB);
    const found = extents.filter((extent) => extent.isData);
    assertEquals(found, [{ offset: 4 * MiB, length: 65536, isData: true }]);
  } finally {
    server.kill("SIGTERM");
    await server.status;
    await Deno.remove(dir, { recursive: true });
  }
});
