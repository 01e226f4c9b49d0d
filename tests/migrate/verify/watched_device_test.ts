import { assertEquals, assertRejects } from "@std/assert";
import { WatchedDevice } from "../../../src/migrate/verify/watched_device.ts";
import { MemoryDevice } from "../../nbd/memory_device.ts";

function watched(before: () => void = () => {}) {
  const order: string[] = [];
  const device = new MemoryDevice({
    before: ({ name }) => {
      order.push(name);
      before();
    },
  });
  const note = (what: string) => ({ offset, length }: { offset: number; length: number }) =>
    void order.push(`${what} ${offset}+${length}`);
  const watch = { changed: note("changed"), trimmed: note("trimmed") };
  return { order, device: new WatchedDevice(device, watch) };
}

Deno.test("each write is noted before it is sent and after it was answered", async () => {
  const { order, device } = watched();
  await device.write(512, new Uint8Array(10));
  await device.writeZeroes(0, 4096);
  await device.trim(8192, 4096);
  await device.flush();
  await device.read(0, new Uint8Array(10));
  assertEquals(order, [
    ...["changed 512+10", "write", "changed 512+10"],
    ...["changed 0+4096", "writeZeroes", "changed 0+4096"],
    ...["trimmed 8192+4096", "trim", "trimmed 8192+4096"],
    ...["flush", "read"],
  ]);
});

Deno.test("a write that fails is noted twice, too: it may have been carried out", async () => {
  const { order, device } = watched(() => {
    throw new Error("The connection is lost");
  });
  await assertRejects(() => device.write(0, new Uint8Array(1)), Error, "lost");
  await assertRejects(() => device.writeZeroes(0, 1), Error, "lost");
  await assertRejects(() => device.trim(0, 1), Error, "lost");
  assertEquals(order.filter((entry) => entry.includes("+")).length, 6);
});
