import { assertEquals, assertRejects } from "@std/assert";
import { DomainDestination } from "../../../src/domain/destination/migration.ts";
import { DomainPeer } from "../../../src/domain/source/destination_peer.ts";
import { silentLogger, systemClock } from "../../../src/io/mod.ts";
import { MigrationError, type MigrationEvent } from "../../../src/migrate/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { HeldPipe } from "../../support/held_pipe.ts";
import { settle } from "../../support/manual_clock.ts";
import { world } from "../../tunnel/resume_world.ts";
import { sessionPair } from "../../tunnel/session_pair.ts";
import { FakeHost } from "./fake_host.ts";

const UUID = "11111111-1111-4111-8111-111111111111";
const PREPARED = {
  ...{ migration: "m1", name: "vm1", uuid: UUID, images: [], owner: null },
  socketDir: "/run/libvirt/qemu/vmferry-01234567",
};
const IMAGE = {
  ...{ name: "vda", path: "/pool/a.raw", create: true, format: "raw", sizeBytes: 1 << 20 },
  ...{ clusterBytes: null, compat: null, extendedL2: false, lazyRefcounts: false, backing: null },
};

function receive(fake: FakeHost) {
  const events: MigrationEvent[] = [];
  const { host, journal } = fake.process();
  const destination = new DomainDestination({
    ...{ host, journal, libvirtSockets: [], recoverCommand: "virsh list --all" },
    claimed: () => Promise.resolve(),
    others: {
      fence: () => Promise.resolve(),
      hasRun: () => Promise.resolve(false),
      forgetArrived: () => Promise.resolve(),
      settle: () => Promise.resolve([]),
    },
    ...{ report: (event) => events.push(event), clock: systemClock, log: silentLogger },
  });
  const source = async () => {
    const { connecting, listening } = await sessionPair();
    destination.serve(listening);
    return new DomainPeer(connecting, { clock: systemClock, log: silentLogger });
  };
  return { destination, source, events };
}

Deno.test("a destination that refuses to prepare ends with the reason", async () => {
  const fake = new FakeHost();
  fake.refusals.set("capabilities", "permission denied");
  const { destination, source } = receive(fake);
  const peer = await source();
  await assertRejects(() => peer.prepareDomain(PREPARED), RpcError, "permission denied");
  const error = await assertRejects(() => destination.outcome(), MigrationError);
  assertEquals([error.kind, error.code], ["refused", "libvirt-unreachable"]);
  await destination.told;
  await peer.close();
  await destination.leave();
});

Deno.test("sockets and images of a domain with a label of its own are for that user", async () => {
  for (const owner of [null, "+1000:+1001"]) {
    const fake = new FakeHost();
    const { destination, source } = receive(fake);
    const peer = await source();
    await peer.prepareDomain({ ...PREPARED, owner, images: [IMAGE] });
    const who = owner === null ? "64055:107" : "1000:1001";
    assertEquals(fake.effects.filter((effect) => effect.startsWith("chown")), [
      `chown ${who} ${PREPARED.socketDir}`,
    ]);
    // Those of others get libvirt's user when the domain starts.
    assertEquals(fake.owners.get(IMAGE.path), owner === null ? undefined : "1000");
    await peer.settleDomain({ migration: "m1", outcome: "failed" });
    await destination.outcome().catch(() => {});
    await peer.close();
    await destination.leave();
  }
});

Deno.test("a destination whose source has only settled an earlier migration ends with success", async () => {
  const fake = new FakeHost();
  fake.domains.set(UUID, { state: "1 2", disks: [] });
  const { destination, source } = receive(fake);
  const peer = await source();
  await peer.domainStatus(UUID);
  await peer.settleDomain({ migration: "m0", outcome: "migrated" });
  await destination.outcome();
  assertEquals(destination.guestStatus, "running");
  await destination.told;
  await peer.close();
  await destination.leave();
});

Deno.test("a destination names why its source gave up before it prepared, and waits for the next one", async () => {
  const { destination, source, events } = receive(new FakeHost());
  const first = await source();
  const reason = "domain vm2 is shut off";
  await first.abort({ reason, cancelled: false, code: "domain-inactive", side: "source" });
  await first.close();
  const warnings = events.filter((event) => event.event === "warning");
  assertEquals(warnings.map(({ code }) => code), ["source-left"]);
  assertEquals(warnings[0]!.message.includes(reason), true);
  const second = await source();
  await second.settleDomain({ migration: "m0", outcome: "failed" });
  await second.settleDomain({ migration: "m0", outcome: "migrated" });
  await destination.outcome();
  await second.close();
  await destination.leave();
});

Deno.test("a source of which one connection of several is down may leave by itself", async () => {
  const { destination } = receive(new FakeHost());
  const pipes: HeldPipe[] = [];
  let away = false;
  const { connecting, listening, server } = await world(undefined, {
    lanes: 2,
    dialled: (n, pipe) => pipes[n] = new HeldPipe(pipe, away),
  });
  destination.serve(listening);
  await connecting.openLanes();
  away = true;
  pipes[1]!.cut();
  while (listening.state !== "down") await new Promise((resolve) => setTimeout(resolve, 1));
  const leaving = destination.leave();
  for (let i = 0; i < 20; i++) await settle();
  away = false;
  for (const pipe of pipes) pipe.release();
  assertEquals(await connecting.close(600_000), undefined);
  await leaving;
  await server.close();
});
