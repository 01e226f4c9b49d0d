import { assertEquals, assertRejects } from "@std/assert";
import { readFull, writeAll } from "../../src/io/mod.ts";
import { NbdError, NbdProbeError, probeExport, refuseRequests } from "../../src/nbd/mod.ts";
import { concat } from "../support/bytes.ts";
import { memoryPipe } from "../support/memory_pipe.ts";
import { GO, hex, text, u16, u32, u64 } from "./dialogue.ts";

const MIB = 1024 * 1024;
const sizeOf = (name: string) => name === "disk" ? MIB : undefined;

/** A client that has come as far as the transmission phase. */
async function connected() {
  const [ours, theirs] = memoryPipe();
  const served = refuseRequests(theirs, sizeOf);
  await readFull(ours, new Uint8Array(18));
  await writeAll(
    ours,
    concat([
      u32(3),
      concat([text("IHAVEOPT"), u32(GO), u32(10), u32(4), text("disk"), u16(0)]),
    ]),
  );
  // INFO_EXPORT and the acknowledgement.
  await readFull(ours, new Uint8Array(20 + 12 + 20));
  return { ours, served };
}

const request = (type: number, cookie: string, length: number, payload = 0) =>
  concat([
    ...[hex("25609513 0000"), u16(type), text(cookie), u64(0), u32(length)],
    new Uint8Array(payload),
  ]);

Deno.test("an export that there was is there, and every request for it fails", async () => {
  const [ours, theirs] = memoryPipe();
  const served = refuseRequests(theirs, sizeOf);
  await assertRejects(
    () => probeExport(ours, "disk", { expectedSizeBytes: MIB, writable: true }),
    NbdProbeError,
    "Input/output error",
  );
  ours.close();
  await served.catch(() => {});
});

Deno.test("an export that there never was is refused by its name", async () => {
  const [ours, theirs] = memoryPipe();
  const served = refuseRequests(theirs, sizeOf);
  await assertRejects(
    () => probeExport(ours, "other", { expectedSizeBytes: MIB, writable: true }),
    NbdProbeError,
  );
  ours.close();
  await served.catch(() => {});
});

Deno.test("writes are read past and each request has its own answer, until the client says goodbye", async () => {
  const { ours, served } = await connected();
  const answers = new Uint8Array(3 * 16);
  const all = readFull(ours, answers);
  await writeAll(ours, request(1, "write 64", 300_000, 300_000));
  await writeAll(ours, request(3, "flush it", 0));
  await writeAll(ours, request(0, "read 512", 512));
  await all;
  const failed = (cookie: string) => concat([hex("67446698 00000005"), text(cookie)]);
  assertEquals(
    answers,
    concat([failed("write 64"), failed("flush it"), failed("read 512")]),
  );
  await writeAll(ours, request(2, "goodbye!", 0));
  await served;
  assertEquals(await ours.read(new Uint8Array(1)), null);
});

Deno.test("a client that sends what is no request is hung up on", async () => {
  const { ours, served } = await connected();
  await writeAll(ours, new Uint8Array(28));
  await assertRejects(() => served, NbdError, "no request");
});
