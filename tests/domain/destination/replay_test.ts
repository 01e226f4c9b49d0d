import { assert, assertEquals, assertRejects } from "@std/assert";
import { createAll, Recorded } from "../../../src/domain/destination/create.ts";
import { settleEarlier } from "../../../src/domain/destination/earlier.ts";
import { hasRun } from "../../../src/domain/destination/has_run.ts";
import { planDomain } from "../../../src/domain/destination/plan.ts";
import { removeCreated } from "../../../src/domain/destination/remove.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import type { ImageToPrepare } from "../../../src/rpc/mod.ts";
import { FakeHost, Killed } from "./fake_host.ts";

const UUID = "11111111-1111-4111-8111-111111111111";
const OTHER = "22222222-2222-4222-8222-222222222222";
const [RUNNING, SHUT_OFF, INCOMING] = ["1 2", "5 1", "3 2"];
/** Running (post-copy failed). */
const POSTCOPY_FAILED = "1 11";

function image(path: string, create = true): ImageToPrepare {
  return {
    ...{ name: "vda", path, create, format: "raw", sizeBytes: 1 << 20, clusterBytes: null },
    ...{ compat: null, extendedL2: false, lazyRefcounts: false, backing: null },
  };
}

/** One in a pool, one in a directory without a pool, one in a directory that is missing. */
const IMAGES = [image("/pool/a.raw"), image("/srv/b.raw"), image("/srv/new/c.raw")];

async function prepare(fake: FakeHost, killAt?: number, half?: "before" | "after") {
  const { host, journal, effects } = fake.process(killAt, half);
  const record = await planDomain(host, {
    ...{ migration: "m1", name: "vm1", uuid: UUID, images: IMAGES, owner: null },
    socketDir: "/run/libvirt/qemu/vmferry-01234567",
  });
  const owners = { owner: { uid: 64055, gid: 107 }, own: null };
  await createAll(host, owners, new Recorded(journal, record), IMAGES);
  return effects();
}

Deno.test("every effect of a preparation follows a record that undoes it", async () => {
  const fake = new FakeHost();
  await prepare(fake);
  const { effects } = fake;
  assertEquals(effects[0], "journal preparing");
  for (const path of ["/pool/a.raw", "/srv/b.raw", "/srv/new/c.raw"]) {
    assert(effects.includes(`create ${path}`));
  }
  assertEquals(effects.at(-1), "journal prepared");
});

Deno.test("a vmferry that is killed between any two effects leaves nothing behind", async () => {
  const count = await prepare(new FakeHost());
  for (const half of ["before", "after"] as const) {
    for (let at = 0; at < count; at++) {
      const fake = new FakeHost();
      const before = fake.state;
      await assertRejects(() => prepare(fake, at, half));
      if (!fake.record) {
        assertEquals(fake.state, before);
        continue;
      }
      const { forget, left } = await settleEarlier(fake.process().host, fake.record, "nobody");
      assertEquals([forget, left, fake.state], [true, [], before], `killed ${half} effect ${at}`);
    }
  }
});

Deno.test("a vmferry that is killed while it removes leaves the rest to the next one", async () => {
  const made = new FakeHost();
  await prepare(made);
  const { host, effects } = made.process();
  await removeCreated(host, made.record!);
  for (let at = 0; at < effects(); at++) {
    const fake = new FakeHost();
    const before = fake.state;
    await prepare(fake);
    await removeCreated(fake.process(at, "after").host, fake.record!).catch((error) => {
      assert(error instanceof Killed);
    });
    await settleEarlier(fake.process().host, fake.record!, "nobody");
    assertEquals(fake.state, before, `killed after effect ${at}`);
  }
});

Deno.test("a preparation that libvirt and qemu-img cannot carry out quotes libvirt's words", async () => {
  const fake = new FakeHost();
  fake.refusals.set("vol-create", "cannot create: No space left on device");
  const error = await assertRejects(() => prepare(fake), MigrationError);
  assertEquals([error.kind, error.code], ["refused", "image-not-created"]);
  assert(error.message.includes("cannot create: No space left on device"), error.message);
});

Deno.test("images of a domain that is active stay", async () => {
  const fake = new FakeHost();
  await prepare(fake);
  const { files } = fake;
  fake.domains.set(UUID, { state: RUNNING!, disks: [] });
  const { forget } = await settleEarlier(fake.process().host, fake.record!, "source");
  assertEquals([forget, files.size], [true, 3]);
});

Deno.test("a guest whose post-copy was cut off is not taken for one that is here", async () => {
  const fake = new FakeHost();
  await prepare(fake);
  fake.domains.set(UUID, { state: POSTCOPY_FAILED, disks: [] });
  const record = { ...fake.record!, mayHaveRun: true };
  for (const word of ["nobody", "source"] as const) {
    const { forget } = await settleEarlier(fake.process().host, record, word);
    assertEquals([forget, fake.files.size], [false, 3]);
  }
});

Deno.test("images stay when libvirt was asked to start the guest, until its source speaks", async () => {
  for (const state of [undefined, SHUT_OFF]) {
    const fake = new FakeHost();
    await prepare(fake);
    if (state) fake.domains.set(UUID, { state, disks: [] });
    const record = { ...fake.record!, mayHaveRun: true };
    const alone = await settleEarlier(fake.process().host, record, "nobody");
    assertEquals([alone.forget, fake.files.size], [false, 3]);
    const told = await settleEarlier(fake.process().host, record, "source");
    assertEquals([told.forget, fake.files.size], [true, 0]);
  }
});

Deno.test("an image that was written to after libvirt was asked to start the guest stays", async () => {
  for (const [seconds, stays] of [[1, false], [60, true]] as const) {
    const fake = new FakeHost();
    await prepare(fake);
    const { host } = fake.process();
    const record = { ...fake.record!, mayHaveRun: true, askedAt: host.wallMs() };
    fake.change("/srv/b.raw", host.wallMs() / 1000 + seconds);
    const { forget } = await settleEarlier(host, record, "source");
    assertEquals([forget, fake.files.size], [!stays, stays ? 3 : 0]);
  }
});

Deno.test("the record of a guest that is active stays as one that arrived until its source hears of it", async () => {
  const fake = new FakeHost();
  await prepare(fake);
  fake.domains.set(UUID, { state: RUNNING!, disks: [] });
  const { host } = fake.process();
  const { forget, record } = await settleEarlier(
    host,
    { ...fake.record!, mayHaveRun: true },
    "nobody",
  );
  assertEquals([forget, record?.state], [false, "migrated"]);
  // The guest ends here before its source asks for it.
  fake.domains.delete(UUID);
  assert(await hasRun(host, record!));
  assert((await settleEarlier(host, record!, "source")).forget);
});

Deno.test("a record of a guest that arrived stays until its source hears of it", async () => {
  const fake = new FakeHost();
  await prepare(fake);
  const record = { ...fake.record!, mayHaveRun: true, state: "migrated" as const };
  const { host } = fake.process();
  assert(await hasRun(host, record));
  assert(!(await settleEarlier(host, record, "nobody")).forget);
  assert((await settleEarlier(host, record, "source")).forget);
  assertEquals(fake.files.size, 3);
});

Deno.test("a volume of the same name in a pool that has another directory by now stays", async () => {
  const fake = new FakeHost();
  await prepare(fake);
  fake.make("/other/a.raw");
  fake.pools.set("images", "/other");
  const { forget } = await settleEarlier(fake.process().host, fake.record!, "nobody");
  assertEquals([forget, [...fake.files.keys()]], [false, ["/pool/a.raw", "/other/a.raw"]]);
});

Deno.test("an image that another domain uses stays", async () => {
  const fake = new FakeHost();
  await prepare(fake);
  fake.domains.set(OTHER, { state: SHUT_OFF!, disks: ["/pool/a.raw"] });
  const { forget, left } = await settleEarlier(fake.process().host, fake.record!, "nobody");
  assertEquals([forget, [...fake.files.keys()]], [false, ["/pool/a.raw"]]);
  assert(left[0]!.includes("domain other"), left[0]);
});

Deno.test("a file that replaced an image stays", async () => {
  const fake = new FakeHost();
  await prepare(fake);
  fake.make("/srv/b.raw");
  const { forget } = await settleEarlier(fake.process().host, fake.record!, "nobody");
  assertEquals([forget, [...fake.files.keys()]], [false, ["/srv/b.raw"]]);
});

Deno.test("a file that another program makes while vmferry creates the same one stays", async () => {
  const fake = new FakeHost();
  // Equal to vmferry's in age, format and size.
  fake.onCreate = (path) => {
    fake.make(path);
    throw new Error("storage volume exists already");
  };
  await assertRejects(() => prepare(fake), MigrationError);
  const { left } = await settleEarlier(fake.process().host, fake.record!, "nobody");
  assertEquals([left, [...fake.files.keys()]], [[], ["/pool/a.raw"]]);
});

Deno.test("images of one directory are recorded before any of them is created", async () => {
  const fake = new FakeHost();
  const { host, journal } = fake.process();
  const images = [image("/srv/b.raw"), image("/srv/d.raw")];
  const record = await planDomain(host, {
    ...{ migration: "m1", name: "vm1", uuid: UUID, images, owner: null },
    socketDir: "/run/libvirt/qemu/vmferry-01234567",
  });
  let begun: (number | null)[] = [];
  fake.onCreate = () => begun = fake.record!.images.map(({ begunAt }) => begunAt);
  await createAll(host, { owner: null, own: null }, new Recorded(journal, record), images);
  assertEquals(begun, [host.wallMs(), host.wallMs()]);
  assertEquals(fake.effects.filter((effect) => effect.startsWith("pool")).length, 2);
  assert(fake.record!.images.every(({ identity }) => identity !== null));
});

Deno.test("an image whose creation has not begun when another one fails is not vmferry's", async () => {
  const fake = new FakeHost();
  const { host, journal } = fake.process();
  const names = Array.from({ length: 6 }, (_, i) => `/pool/${i}.raw`);
  const images = names.map((path) => image(path));
  const record = await planDomain(host, {
    ...{ migration: "m1", name: "vm1", uuid: UUID, images, owner: null },
    socketDir: "/run/libvirt/qemu/vmferry-01234567",
  });
  fake.onCreate = () => {
    throw new Error("full");
  };
  await assertRejects(() =>
    createAll(host, { owner: null, own: null }, new Recorded(journal, record), images)
  );
  const begun = fake.record!.images.filter(({ begunAt }) => begunAt !== null);
  assertEquals(begun.map(({ path }) => path), names.slice(0, 4));
});

Deno.test("a file that exists is refused before anything is created", async () => {
  const fake = new FakeHost();
  fake.make("/srv/b.raw");
  const error = await assertRejects(() => prepare(fake), MigrationError);
  assertEquals([error.code, fake.effects], ["image-exists", []]);
});

Deno.test("a domain that is active at the destination is refused", async () => {
  for (const state of [RUNNING!, INCOMING!]) {
    const fake = new FakeHost();
    fake.domains.set(UUID, { state, disks: [] });
    const error = await assertRejects(() => prepare(fake), MigrationError);
    assertEquals([error.code, fake.effects], ["domain-exists", []]);
  }
});
