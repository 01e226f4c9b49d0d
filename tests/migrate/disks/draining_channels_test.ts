import { assertEquals } from "@std/assert";
import { type Acceptor, type BytePipe, writeAll } from "../../../src/io/mod.ts";
import { drainingChannels } from "../../../src/migrate/disks/draining_channels.ts";
import { settle } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

/** Takes these connections, and then no more. */
function acceptorOf(pipes: BytePipe[]): Acceptor {
  return { address: "/ram", accept: () => Promise.resolve(pipes.shift()), close: () => {} };
}

/** RAM's main connection and one channel of multifd, as vmferry has accepted them, with QEMU's ends. */
async function connections(mayClose?: () => Promise<void>) {
  const [mainQemu, mainOurs] = memoryPipe();
  const [channelQemu, channelOurs] = memoryPipe();
  const acceptor = drainingChannels(acceptorOf([mainOurs, channelOurs]), mayClose);
  const [main, channel] = [(await acceptor.accept())!, (await acceptor.accept())!];
  return { acceptor, mainQemu, channelQemu, main, channel };
}

const BYTES = new Uint8Array([1, 2, 3]);

Deno.test("a close of RAM's main connection ends it for QEMU at once", async () => {
  const { main, mainQemu } = await connections();
  main.close();
  assertEquals(await mainQemu.read(new Uint8Array(1)).catch(() => null), null);
});

Deno.test("RAM's main connection ends for QEMU only once that is allowed", async () => {
  for (const end of ["close", "closeWrite"] as const) {
    const allowed = Promise.withResolvers<void>();
    const { main, mainQemu } = await connections(() => allowed.promise);
    let isOver = false;
    mainQemu.read(new Uint8Array(1)).catch(() => null).then(() => isOver = true);
    void main[end]();
    await settle();
    assertEquals(isOver, false);
    allowed.resolve();
    await settle();
    assertEquals(isOver, true);
  }
});

Deno.test("a closed channel of multifd takes everything that QEMU still sends", async () => {
  const { channel, channelQemu } = await connections();
  channel.close();
  // Much more than any buffer between them.
  const block = new Uint8Array(1 << 20);
  for (let sent = 0; sent < 8; sent++) await writeAll(channelQemu, block);
  channelQemu.close();
});

Deno.test("a drained channel is closed once QEMU has closed it, and not before", async () => {
  const { channel, channelQemu } = await connections();
  channel.close();
  let closed = false;
  channelQemu.read(new Uint8Array(1)).catch(() => null).then(() => closed = true);
  await writeAll(channelQemu, BYTES);
  await settle();
  assertEquals(closed, false);
  await channelQemu.closeWrite();
  await settle();
  assertEquals(closed, true);
});

Deno.test("an open channel carries bytes both ways, and its end of writing", async () => {
  const { channel, channelQemu } = await connections();
  await writeAll(channelQemu, BYTES);
  const got = new Uint8Array(3);
  assertEquals([await channel.read(got), [...got]], [3, [...BYTES]]);
  await writeAll(channel, BYTES);
  assertEquals(await channelQemu.read(got), 3);
  await channel.closeWrite();
  assertEquals(await channelQemu.read(got), null);
});

Deno.test("an acceptor that has ended returns no connection, and keeps its address", async () => {
  const { acceptor } = await connections();
  assertEquals([await acceptor.accept(), acceptor.address], [undefined, "/ram"]);
});
