import { assertEquals, assertRejects } from "@std/assert";
import { ExportReaders } from "../../../src/migrate/destination/export_readers.ts";
import { NbdServer } from "../../../src/nbd/mod.ts";
import { MemoryDevice } from "../../nbd/memory_device.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

/** Readers of the exports `a` and `b`, and how many connections they have made. */
function readersOf(): { readers: ExportReaders; connections: () => number } {
  const server = new NbdServer(["a", "b"].map((name) => ({ name, device: new MemoryDevice() })));
  let count = 0;
  const readers = new ExportReaders(() => {
    count++;
    const [ours, theirs] = memoryPipe();
    server.serve(theirs).catch(() => {});
    return Promise.resolve(ours);
  });
  return { readers, connections: () => count };
}

Deno.test("work on one export waits for the work before, work on another does not", async () => {
  const { readers, connections } = readersOf();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = readers.use("a", async (reader) => {
    await gate.promise;
    order.push(`a ${reader.sizeBytes}`);
    throw new Error("failed");
  });
  const second = readers.use("a", () => Promise.resolve(order.push("a again")));
  await readers.use("b", () => Promise.resolve(order.push("b")));
  gate.resolve();
  await assertRejects(() => first, Error, "failed");
  await second;
  assertEquals(order, ["b", `a ${1 << 20}`, "a again"]);
  assertEquals(connections(), 2);
  readers.close();
});

Deno.test("nothing is read once the exports are being removed", async () => {
  const { readers, connections } = readersOf();
  readers.close();
  await assertRejects(() => readers.use("a", () => Promise.resolve()), Error, "being removed");
  assertEquals(connections(), 1);
});
