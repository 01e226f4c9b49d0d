import { assert, assertEquals } from "@std/assert";
import { concat } from "../../support/bytes.ts";
import { MemoryDevice, type MemoryDeviceOptions } from "../memory_device.ts";
import * as t from "./talking.ts";

const MiB = 1 << 20;
const [READ, WRITE, TRIM] = [0, 1, 4] as const;

/** A device whose requests wait for the test; `most` were under way at once. */
class Gate {
  readonly #open = Promise.withResolvers<void>();
  underWay = 0;
  readonly options: MemoryDeviceOptions = {
    sizeBytes: 64 * MiB,
    before: async () => {
      this.underWay++;
      await this.#open.promise;
    },
  };

  open(): void {
    this.#open.resolve();
  }
}

/** Lets everything happen that can. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) await Promise.resolve();
}

/** Sends requests, reads no reply; how many reached the device before anything was answered. */
async function underWay(requests: Uint8Array[], limits: object): Promise<number> {
  const gate = new Gate();
  const talk = new t.Talk(new MemoryDevice(gate.options), { capacity: 128 * MiB, ...limits });
  await talk.say(t.ENTRY, ...requests);
  await settled();
  const reached = gate.underWay;
  gate.open();
  talk.pipe.close();
  await talk.serving.catch(() => {});
  return reached;
}

Deno.test("at most as many requests as allowed are under way", async () => {
  const requests = Array<Uint8Array>(100).fill(t.request(TRIM, 0, 512));
  assertEquals(await underWay(requests, { maxRequests: 5 }), 5);
});

Deno.test("reads that do not fit the bound wait, however few they are", async () => {
  const requests = Array<Uint8Array>(20).fill(t.request(READ, 0, 16 * MiB));
  assertEquals(await underWay(requests, { maxBytes: 64 * MiB }), 4);
});

Deno.test("writes that do not fit the bound wait", async () => {
  const write = t.request(WRITE, 0, 16 * MiB, { data: new Uint8Array(16 * MiB) });
  assertEquals(await underWay(Array<Uint8Array>(5).fill(write), { maxBytes: 32 * MiB }), 2);
});

Deno.test("a client that takes no replies is not served beyond the bound", async () => {
  const device = new MemoryDevice({ sizeBytes: MiB });
  const talk = new t.Talk(device, { maxRequests: 8, capacity: 4096 });
  // Refused requests are answered, too, and must not pile up.
  const sending = talk.say(
    t.ENTRY,
    ...Array.from({ length: 200 }, (_, i) => t.request(i % 2 === 0 ? READ : 99, 0, 65536)),
  );
  await settled();
  assert(device.calls.length <= 8, `${device.calls.length} reads were done`);
  const heard = talk.hear(70 + 100 * (16 + 65536) + 100 * 16);
  await sending;
  assertEquals((await heard).length, 70 + 100 * (16 + 65536) + 100 * 16);
  assertEquals(device.calls.length, 100);
});

Deno.test("a client that takes no replies and then sends garbage is cut off", async () => {
  const talk = new t.Talk(new MemoryDevice({ sizeBytes: MiB }), { capacity: 4096 });
  const garbage = new Uint8Array(28);
  const sending = talk.say(concat([t.ENTRY, t.request(READ, 0, MiB), garbage]));
  const error = await talk.serving.then(() => undefined, (error) => error);
  assertEquals(error?.code, "protocol-error");
  await sending;
});
