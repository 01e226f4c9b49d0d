import { assert, assertEquals, assertRejects } from "@std/assert";
import { NbdClient, NbdDeviceError, NbdError, NbdServer } from "../../src/nbd/mod.ts";
import { randomOf } from "../support/bytes.ts";
import { memoryPipe } from "../support/memory_pipe.ts";
import { MemoryDevice, type MemoryDeviceOptions } from "./memory_device.ts";

const MiB = 1 << 20;

/** A client of a server of one device. */
async function joined(
  options: MemoryDeviceOptions = {},
  pipeOptions: Parameters<typeof memoryPipe>[0] = {},
) {
  const device = new MemoryDevice(options);
  const server = new NbdServer([{ name: "disk", device }]);
  const [ours, theirs] = memoryPipe(pipeOptions);
  const serving = server.serve(theirs);
  serving.catch(() => {});
  const client = await NbdClient.open(ours, "disk");
  return { device, server, serving, client, ours, theirs };
}

Deno.test("a client sees the device's properties", async () => {
  const { client, device, serving } = await joined({
    sizeBytes: 3 * MiB + 512,
    blockSize: { minimum: 512, preferred: 8192, maximum: MiB },
    can: { trim: false, cache: false },
  });
  assertEquals(client.sizeBytes, device.sizeBytes);
  assertEquals(client.readOnly, false);
  assertEquals(client.blockSize, device.blockSize);
  assertEquals(client.can, device.can);
  await client.close();
  await serving;
});

Deno.test("random requests in parallel leave what the same requests leave in memory", async () => {
  const random = randomOf(11);
  const below = (limit: number) => Math.floor(random() * limit);
  const size = 256 * 1024;
  for (const most of [3, 200, 9000, Infinity]) {
    const { client, device, serving } = await joined({ sizeBytes: size }, {
      chunk: () => 1 + below(most),
    });
    const model = new Uint8Array(size);
    // Requests under way never overlap: each takes a part of its own.
    const parts = 8;
    const partBytes = size / parts;
    for (let round = 0; round < (most < 10 ? 2 : 20); round++) {
      await Promise.all(Array.from({ length: parts }, async (_, part) => {
        const offset = part * partBytes + below(partBytes / 2);
        const length = 1 + below(partBytes / 2);
        switch (below(4)) {
          case 0: {
            const bytes = Uint8Array.from({ length }, () => below(256));
            await client.write(offset, bytes, { fua: below(2) === 0 });
            return model.set(bytes, offset);
          }
          case 1:
            await client.writeZeroes(offset, length, { noHole: below(2) === 0 });
            return model.fill(0, offset, offset + length);
          case 2: {
            const extents = await client.blockStatus(offset, length);
            assertEquals(extents.reduce((sum, extent) => sum + extent.length, 0), length);
            return;
          }
          default: {
            const into = new Uint8Array(length).fill(0xee);
            const holes = await client.read(offset, into);
            assertEquals(into, model.slice(offset, offset + length));
            for (const hole of holes) {
              const at = hole.offset - offset;
              assert(into.subarray(at, at + hole.length).every((byte) => byte === 0));
            }
          }
        }
      }));
    }
    assertEquals(device.bytes, model);
    await client.flush();
    await client.close();
    await serving;
  }
});

Deno.test("options of a request reach the device", async () => {
  const { client, device } = await joined();
  await client.write(0, new Uint8Array(10), { fua: true });
  await client.writeZeroes(4096, 100, { fua: true, noHole: true, fast: true });
  await client.trim(8192, 50, { fua: true });
  await client.cache(0, 7);
  await client.flush();
  await client.blockStatus(0, 4096, { one: true });
  assertEquals(device.calls, [
    { name: "write", offset: 0, length: 10, options: { fua: true } },
    {
      name: "writeZeroes",
      offset: 4096,
      length: 100,
      options: { fua: true, noHole: true, fast: true },
    },
    { name: "trim", offset: 8192, length: 50, options: { fua: true } },
    { name: "cache", offset: 0, length: 7 },
    { name: "flush" },
    { name: "blockStatus", offset: 0, length: 4096, options: { one: true } },
  ]);
  client[Symbol.dispose]();
});

Deno.test("without FUA at the server a flush follows the write", async () => {
  const { client, device } = await joined({ can: { fua: false } });
  assertEquals(client.can.fua, true);
  await client.write(0, new Uint8Array(10), { fua: true });
  assertEquals(device.calls.map(({ name }) => name), ["write", "flush"]);
  client[Symbol.dispose]();
});

Deno.test("the device's error reaches the caller with its reason, and only its request", async () => {
  const { client } = await joined({
    before: ({ name, offset }) => {
      if (name === "write" && offset === 512) {
        throw new NbdDeviceError("ENOSPC", "the disk is full");
      }
      if (name === "flush") throw new Error("unplugged");
    },
  });
  const [first, second] = await Promise.allSettled([
    client.write(0, new Uint8Array(512)),
    client.write(512, new Uint8Array(512)),
  ]);
  assertEquals(first.status, "fulfilled");
  const { reason } = second as PromiseRejectedResult;
  assert(reason instanceof NbdDeviceError);
  assertEquals(reason.errno, "ENOSPC");
  assert(reason.message.includes("the disk is full"));
  const error = await assertRejects(() => client.flush(), NbdDeviceError, "unplugged");
  assertEquals(error.errno, "EIO");
  client[Symbol.dispose]();
});

Deno.test("a request that the protocol forbids is refused before it is sent", async () => {
  const { client, device } = await joined({
    blockSize: { minimum: 512 },
    can: { trim: false },
  });
  const errnoOf = async (work: () => Promise<unknown>) =>
    (await assertRejects(work, NbdDeviceError)).errno;
  assertEquals(await errnoOf(() => client.read(MiB - 512, new Uint8Array(1024))), "EINVAL");
  assertEquals(await errnoOf(() => client.write(MiB, new Uint8Array(512))), "ENOSPC");
  assertEquals(await errnoOf(() => client.write(1, new Uint8Array(512))), "EINVAL");
  assertEquals(await errnoOf(() => client.trim(0, 512)), "EINVAL");
  assertEquals(device.calls, []);
  client[Symbol.dispose]();
});

Deno.test("requests longer than the server's maximum are split at it", async () => {
  const { client, device } = await joined({ blockSize: { minimum: 512, maximum: 8192 + 100 } });
  await client.write(512, new Uint8Array(20480).fill(7));
  const into = new Uint8Array(20480);
  await client.read(512, into);
  assertEquals(into, new Uint8Array(20480).fill(7));
  const split = [[512, 8192], [8704, 8192], [16896, 4096]];
  assertEquals(device.calls.map(({ offset, length }) => [offset!, length!]), [...split, ...split]);
  client[Symbol.dispose]();
});

Deno.test("zeroes that the server finds too long are split at its maximum", async () => {
  const { client, device } = await joined({
    blockSize: { maximum: 65536 },
    before: ({ length = 0 }) => {
      if (length > 65536) throw new NbdDeviceError("EOVERFLOW", "too long");
    },
  });
  await client.writeZeroes(0, 100_000);
  assertEquals(device.calls.map(({ length }) => length), [100_000, 65536, 34_464]);
  device.calls.length = 0;
  await client.cache(0, 100_000);
  assertEquals(device.calls.map(({ length }) => length), [65536, 34_464]);
  client[Symbol.dispose]();
});

Deno.test("a slow request holds up no other", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { client } = await joined({ before: ({ offset }) => offset === 0 ? promise : undefined });
  const order: string[] = [];
  const slow = client.write(0, new Uint8Array(512)).then(() => order.push("slow"));
  await client.write(512, new Uint8Array(512)).then(() => order.push("fast"));
  resolve();
  await slow;
  assertEquals(order, ["fast", "slow"]);
  client[Symbol.dispose]();
});

Deno.test("close waits for the requests under way, and later ones fail", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { client, device, serving } = await joined({ before: () => promise });
  const writing = client.write(0, new Uint8Array([1]));
  const closing = client.close();
  assertEquals((await assertRejects(() => client.flush(), NbdError)).code, "closed");
  resolve();
  await Promise.all([writing, closing, serving]);
  assertEquals(device.bytes[0], 1);
});

Deno.test("a server that shuts down finishes what is under way and refuses the rest", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { client, server, serving } = await joined({ before: () => promise });
  const writing = client.write(0, new Uint8Array([1]));
  await client.read(0, new Uint8Array(0)); // the write has arrived
  const ending = server.shutDown();
  const error = await assertRejects(() => client.flush(), NbdDeviceError);
  assertEquals(error.errno, "ESHUTDOWN");
  resolve();
  await Promise.all([writing, ending]);
  await serving.catch(() => {});
  assertEquals((await assertRejects(() => client.flush(), NbdError)).code, "closed");
});
