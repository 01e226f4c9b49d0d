import { assert, assertEquals } from "@std/assert";
import { type BytePipe, silentLogger, writeAll } from "../../../../src/io/mod.ts";
import { SourceRelay } from "../../../../src/domain/source/run/source_relay.ts";
import { settle } from "../../../support/manual_clock.ts";
import { memoryPipe } from "../../../support/memory_pipe.ts";
import { FakeAcceptor } from "../support.ts";

const bytes = (...values: number[]) => new Uint8Array(values);

function relayed(connect?: () => Promise<BytePipe>) {
  const acceptor = new FakeAcceptor();
  const [virsh, accepted] = memoryPipe();
  const [dialled, libvirt] = memoryPipe();
  const faults: unknown[] = [];
  const relay = new SourceRelay(acceptor, {
    connect: connect ?? (() => Promise.resolve(dialled)),
    ...{ log: silentLogger, onFault: (error: unknown) => faults.push(error) },
  });
  acceptor.push(accepted);
  return { relay, acceptor, virsh, accepted, dialled, libvirt, faults };
}

async function readSome(pipe: BytePipe): Promise<Uint8Array | null> {
  const buffer = new Uint8Array(64);
  const n = await pipe.read(buffer);
  return n === null ? null : buffer.slice(0, n);
}

Deno.test("the relay carries bytes between virsh and libvirt both ways", async () => {
  const { relay, virsh, libvirt, faults } = relayed();
  await writeAll(virsh, bytes(1, 2));
  assertEquals(await readSome(libvirt), bytes(1, 2));
  await writeAll(libvirt, bytes(3));
  assertEquals(await readSome(virsh), bytes(3));
  await virsh.closeWrite();
  assertEquals(await readSome(libvirt), null);
  await libvirt.closeWrite();
  assertEquals(await readSome(virsh), null);
  await relay.close();
  assertEquals(faults, []);
});

Deno.test("nothing that virsh sends after the freeze reaches libvirt", async () => {
  const { relay, virsh, libvirt } = relayed();
  await writeAll(virsh, bytes(1));
  assertEquals(await readSome(libvirt), bytes(1));
  relay.freeze();
  await virsh.write(bytes(2)).catch(() => {});
  assertEquals(await readSome(libvirt), null);
  await relay.close();
});

Deno.test("bytes that the relay has read and not written are dropped by the freeze", async () => {
  const written: number[] = [];
  const blocked = Promise.withResolvers<number>();
  const slow: BytePipe = {
    read: () => new Promise(() => {}),
    write: (from) => {
      written.push(...from.subarray(0, 1));
      return written.length === 1 ? blocked.promise : Promise.resolve(1);
    },
    closeWrite: () => Promise.resolve(),
    close: () => {},
  };
  const { relay, virsh } = relayed(() => Promise.resolve(slow));
  await writeAll(virsh, bytes(1, 2, 3));
  await settle();
  assertEquals(written, [1]);
  relay.freeze();
  blocked.resolve(1);
  await settle();
  assertEquals(written, [1]);
});

Deno.test("the freeze closes the connection to libvirt before that of virsh, at once", async () => {
  const order: string[] = [];
  const { relay, accepted, dialled } = relayed();
  await settle();
  for (const [name, pipe] of [["virsh", accepted], ["libvirt", dialled]] as const) {
    const close = pipe.close.bind(pipe);
    pipe.close = () => {
      order.push(name);
      close();
    };
  }
  relay.freeze();
  assertEquals(order, ["libvirt", "virsh"]);
  await relay.close();
});

Deno.test("a connection to libvirt that is made during the freeze carries nothing", async () => {
  const dialling = Promise.withResolvers<BytePipe>();
  const { relay, virsh, dialled, libvirt, acceptor } = relayed(() => dialling.promise);
  await writeAll(virsh, bytes(1));
  relay.freeze();
  dialling.resolve(dialled);
  assertEquals(await readSome(libvirt), null);
  assert(acceptor.closed);
  await relay.close();
});

Deno.test("the relay reports a libvirt that it cannot connect to", async () => {
  const { relay, virsh, faults } = relayed(() => Promise.reject(new Error("no such socket")));
  assertEquals(await readSome(virsh), null);
  assertEquals(faults.map(String), ["Error: no such socket"]);
  await relay.close();
});
