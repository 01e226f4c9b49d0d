import { assertEquals, assertRejects } from "@std/assert";
import { readFull, writeAll } from "../../../src/io/mod.ts";
import { RamGate } from "../../../src/migrate/ram/gate.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { sessionPair } from "../../tunnel/session_pair.ts";

/** A QEMU whose RAM goes through a gate and a stream; `got` reads so many bytes at the other end. */
async function lab() {
  const gate = new RamGate();
  const { connecting, listening } = await sessionPair();
  const stream = connecting.open();
  const there = listening.accept(stream.id);
  const [qemu, local] = memoryPipe({ capacity: 1 << 20 });
  const joined = gate.join(stream, local);
  const got = async (n: number) => {
    const bytes = new Uint8Array(n);
    await readFull(there, bytes);
    return [...bytes];
  };
  const ended = async () => {
    await qemu.closeWrite();
    await there.closeWrite();
    assertEquals((await joined).error, undefined);
    await Promise.all([connecting.close(), listening.close()]);
  };
  return { gate, qemu, local, stream, joined, got, ended, connecting, listening };
}

/** All that can happen without more input has happened. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("RAM crosses while all connections are up, and waits at the source while one is down", async () => {
  const { gate, qemu, got, ended } = await lab();
  await writeAll(qemu, Uint8Array.of(1, 2));
  assertEquals(await got(2), [1, 2]);
  gate.connectionChanged("down");
  // A read was under way when the connection was lost.
  await writeAll(qemu, Uint8Array.of(3));
  assertEquals(await got(1), [3]);
  await writeAll(qemu, Uint8Array.of(4, 5));
  let came = false;
  const next = got(2).then((bytes) => {
    came = true;
    return bytes;
  });
  await settled();
  assertEquals(came, false);
  gate.connectionChanged("up");
  assertEquals(await next, [4, 5]);
  await ended();
});

Deno.test("what is left crosses once the guest is paused, whatever the connections do", async () => {
  const { gate, qemu, got, ended } = await lab();
  gate.connectionChanged("down");
  await writeAll(qemu, Uint8Array.of(1));
  assertEquals(await got(1), [1]);
  await writeAll(qemu, Uint8Array.of(2));
  gate.guestPaused();
  assertEquals(await got(1), [2]);
  gate.connectionChanged("down");
  await writeAll(qemu, Uint8Array.of(3, 4));
  assertEquals(await got(2), [3, 4]);
  await ended();
});

Deno.test("a stream that fails ends the wait", async () => {
  const { gate, qemu, stream, joined, got, connecting, listening } = await lab();
  gate.connectionChanged("down");
  await writeAll(qemu, Uint8Array.of(1));
  assertEquals(await got(1), [1]);
  await settled();
  stream.reset("cancelled", "It was cut here");
  assertEquals((await joined).error?.message.includes("It was cut here"), true);
  await assertRejects(() => writeAll(qemu, new Uint8Array(9)));
  await Promise.all([connecting.close(), listening.close()]);
});

Deno.test("RAM does not wait while the guest is paused", async () => {
  const { gate, qemu, got, ended } = await lab();
  gate.connectionChanged("down");
  await writeAll(qemu, Uint8Array.of(1));
  assertEquals(await got(1), [1]);
  await writeAll(qemu, Uint8Array.of(2));
  gate.guestStopped(true);
  assertEquals(await got(1), [2]);
  gate.guestStopped(false);
  await writeAll(qemu, Uint8Array.of(3));
  assertEquals(await got(1), [3]);
  await writeAll(qemu, Uint8Array.of(4));
  gate.connectionChanged("up");
  assertEquals(await got(1), [4]);
  await ended();
});

Deno.test("a connection that was held is not read after it was closed", async () => {
  const { gate, stream, joined, local, qemu, connecting, listening } = await lab();
  gate.connectionChanged("down");
  await writeAll(qemu, Uint8Array.of(1));
  await settled();
  let reads = 0;
  const read = local.read.bind(local);
  local.read = (into) => {
    reads++;
    return read(into);
  };
  stream.reset("cancelled", "It was cut here");
  await joined;
  assertEquals(reads, 0);
  await Promise.all([connecting.close(), listening.close()]);
});
