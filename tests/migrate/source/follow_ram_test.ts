import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { type Arrived, finish, handOver } from "../../../src/migrate/source/hand_over.ts";
import { switchOver } from "../../../src/migrate/source/switchover.ts";
import { type Handlers, RpcError } from "../../../src/rpc/mod.ts";
import type { FakeSource } from "../../support/fake_source.ts";
import type { Commands } from "../../support/fake_qemu.ts";
import { inTime, paused, until } from "./phases.ts";

const OK = { return: {} };
const GRACE_MS = 30_000;

interface Following {
  readonly source: FakeSource;
  /** Resolves when the source has done with the rest of RAM. */
  readonly over: Promise<Arrived>;
  readonly isOver: () => boolean;
}

/** A source whose destination runs the guest, and whose QEMU still has a part of its RAM. */
async function following(handlers: Handlers = {}, graceMs = GRACE_MS): Promise<Following> {
  const commands: Commands = {
    "query-migrate-capabilities": () => ({
      return: [{ capability: "postcopy-ram", state: false }],
    }),
    "migrate-continue": () => {
      setTimeout(() => source.qemu.migrate("postcopy-active"), 0);
      return OK;
    },
  };
  const { source, result } = await paused({
    options: { ram: { postcopy: { when: "asked" } }, graceMs },
    commands,
    handlers: {
      prepare: ({ checkOnly, disks, postcopy }) =>
        Promise.resolve({
          ...{
            qemuVersion: "7.2.15",
            warnings: [],
            images: null,
            recover: "",
            multifd: null,
            hashes: null,
          },
          ...{ postcopy },
          exports: checkOnly ? [] : disks.map(({ name }) => ({ disk: name, exportName: name })),
        }),
      recover: () => Promise.resolve({ whole: false }),
      ramLost: () => Promise.resolve({ whole: false }),
      ...handlers,
    },
  });
  const crossed = await switchOver(source.context, result);
  const over = handOver(source.context, crossed);
  let isOver = false;
  over.then(() => isOver = true, () => isOver = true);
  await until("the rest of RAM crosses", () => source.context.state.current === "postcopy");
  return { source, over, isOver: () => isOver };
}

/** Counts the calls and commands of this name. */
function count({ order }: FakeSource, entry: string): number {
  return order.filter((each) => each === entry).length;
}

async function refused(source: FakeSource, over: Promise<unknown>): Promise<MigrationError> {
  const error = await assertRejects(() => inTime(source, over), MigrationError);
  assertEquals([error.kind, error.code], ["unknown", "postcopy-paused"]);
  return error;
}

Deno.test("a guest whose RAM follows has left when QEMU says that all of it has crossed", async () => {
  const { source, over, isOver } = await following();
  for (let second = 0; second < 60; second++) await source.clock.advance(1000);
  assertEquals([isOver(), source.written.at(-1)?.state], [false, "postcopy"]);
  assertEquals(source.events.filter((e) => e.event === "phase").at(-1)?.phase, "postcopy");
  await source.qemu.migrate("completed");
  await inTime(source, over);
  assertEquals([count(source, "rpc:recover"), source.qemu.count("cont")], [0, 0]);
  await source.end();
});

Deno.test("a guest that QEMU resumes at the source while its RAM follows is paused again at once", async () => {
  const { source, over } = await following();
  const before = source.qemu.count("stop");
  await source.qemu.say("RESUME");
  await until("QEMU to be asked", () => source.qemu.count("stop") === before + 1);
  await source.qemu.migrate("completed");
  await inTime(source, over);
  assertEquals(source.qemu.count("cont"), 0);
  await source.end();
});

Deno.test("a broken stream is joined again, the destination's QEMU first", async () => {
  const { source, over } = await following();
  const from = source.order.length;
  await source.qemu.migrate("postcopy-paused");
  await untilAsked(source, 1);
  const steps = source.order.slice(from).filter((entry) => /recover|ram|migrate$/.test(entry));
  assertEquals(steps, ["rpc:recover", "rpc:openTunnel ram", "qmp:migrate"]);
  await source.qemu.migrate("completed");
  await inTime(source, over);
  assertEquals(source.qemu.count("cont"), 0);
  await source.end();
});

Deno.test("a destination that has all of RAM gets no other stream", async () => {
  const { source, over } = await following({
    recover: () => {
      source.qemu.migration = "completed";
      return Promise.resolve({ whole: true });
    },
  });
  const from = source.order.length;
  await source.qemu.migrate("postcopy-paused");
  await inTime(source, over);
  assertEquals(source.order.slice(from).filter((entry) => /openTunnel|migrate$/.test(entry)), []);
  await source.end();
});

Deno.test("a destination that cannot be joined is asked again for the grace, and no longer", async () => {
  const { source, over, isOver } = await following({
    recover: () => Promise.reject(new RpcError("failed", "QEMU is busy")),
  });
  const since = source.clock.now();
  await source.qemu.migrate("postcopy-paused");
  while (source.clock.now() < since + GRACE_MS - 2_000) await tick(source);
  assertEquals(isOver(), false);
  assert(count(source, "rpc:recover") > 10);
  assertMatch((await refused(source, over)).message, /only the source's QEMU has.*QEMU is busy/);
  assert(source.clock.now() < since + GRACE_MS + 5_000, `${source.clock.now() - since} ms`);
  assertEquals([source.written.at(-1)?.state, source.qemu.count("cont")], ["postcopy", 0]);
  await source.end();
});

Deno.test("a stream that breaks again has the whole grace again", async () => {
  let fails = true;
  const { source, over, isOver } = await following({
    recover: () =>
      fails ? Promise.reject(new RpcError("failed", "busy")) : Promise.resolve({ whole: false }),
  });
  for (let round = 0; round < 3; round++) {
    fails = true;
    const since = source.clock.now();
    await source.qemu.migrate("postcopy-paused");
    while (source.clock.now() < since + GRACE_MS / 2) await tick(source);
    fails = false;
    await untilAsked(source, round + 1);
    await tick(source);
  }
  assertEquals(isOver(), false);
  await source.qemu.migrate("completed");
  await inTime(source, over);
  await source.end();
});

Deno.test("a QEMU that does not connect again within 30 s is asked once more", async () => {
  const { source, over } = await following({}, 2 * GRACE_MS);
  source.qemu.joins = false;
  await source.qemu.migrate("postcopy-paused");
  await untilAsked(source, 1);
  const since = source.clock.now();
  await untilAsked(source, 2);
  const waited = source.clock.now() - since;
  assert(waited >= 30_000 && waited < 35_000, `${waited} ms`);
  await source.qemu.migrate("completed");
  await inTime(source, over);
  await source.end();
});

Deno.test("a QEMU whose migration fails in post-copy is left as it is, with its reason", async () => {
  const { source, over } = await following();
  source.qemu.migrationError = "Broken pipe";
  await source.qemu.migrate("failed");
  assertMatch((await refused(source, over)).message, /Broken pipe/);
  assertEquals(source.qemu.count("cont"), 0);
  await source.end();
});

Deno.test("a QEMU that sends nothing for two minutes and the grace is given up", async () => {
  const { source, over, isOver } = await following();
  const since = source.clock.now();
  while (source.clock.now() < since + 120_000) await tick(source);
  assertEquals(isOver(), false);
  await refused(source, over);
  await source.end();
});

Deno.test("a guest whose source's QEMU ends before all of its RAM has crossed is lost", async () => {
  const { source, over } = await following();
  source.qemu.qemu.fake.close();
  await refused(source, over);
  assertEquals([count(source, "rpc:ramLost"), count(source, "rpc:recover")], [1, 0]);
  await source.end();
});

Deno.test("a guest has left if the source's QEMU ends and the destination has all of its RAM", async () => {
  const { source, over } = await following({ ramLost: () => Promise.resolve({ whole: true }) });
  source.qemu.qemu.fake.close();
  const { guest } = await inTime(source, over.then((arrived) => finish(source.context, arrived)));
  assertEquals([guest, source.context.state.current], ["running", "done"]);
  await source.end();
});

Deno.test("an older destination that does not know of a QEMU's end changes nothing at the source", async () => {
  const unknown = new RpcError("unknown-procedure", "no ramLost");
  const { source, over } = await following({ ramLost: () => Promise.reject(unknown) });
  source.qemu.qemu.fake.close();
  await refused(source, over);
  await source.end();
});

/** Moves the clock on a little. */
async function tick(source: FakeSource): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  await source.clock.advance(200);
}

/** Waits until QEMU was asked so often to connect again. */
async function untilAsked(source: FakeSource, times: number): Promise<void> {
  for (let i = 0; source.qemu.count("migrate") < 1 + times; i++) {
    if (i === 1000) throw new Error(`QEMU was not asked ${times} times`);
    await tick(source);
  }
}
