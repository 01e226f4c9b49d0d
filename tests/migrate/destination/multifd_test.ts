import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { systemClock, withDeadline } from "../../../src/io/mod.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { fakeDestination } from "../../support/fake_destination.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { announced, cancelled, never, pass, turns } from "./support.ts";

const ASKED = { channels: 4, compression: "zstd" };

/** The part of `query-qmp-schema` that is read. */
const schemaWith = (values: readonly string[]) => [
  { name: "migrate-set-parameters", "meta-type": "command", "arg-type": "7" },
  { name: "7", "meta-type": "object", members: [{ name: "multifd-compression", type: "9" }] },
  { name: "9", "meta-type": "enum", values },
];

const asking = (migration: string) => ({ ...announced(migration), multifd: ASKED });

/** Commands of a QEMU that has multifd. */
const withMultifd = (compressions: readonly string[]) => ({
  "query-qmp-schema": () => ({ return: schemaWith(compressions) }),
  "query-migrate-capabilities": () => ({ return: [{ capability: "multifd", state: false }] }),
  "query-migrate-parameters": () => ({
    return: { "multifd-channels": 2, "multifd-compression": "none", "zero-page-detection": "none" },
  }),
  "migrate-set-parameters": () => ({ return: {} }),
});

Deno.test("a destination's QEMU without multifd is refused before it is changed", async () => {
  const destination = await fakeDestination(systemClock, {
    "query-qmp-schema": () => ({ return: [] }),
  });
  const one = await destination.source();
  for (const checkOnly of [true, false]) {
    const error = await assertRejects(
      () => one.prepare({ ...asking("one"), checkOnly }, never),
      RpcError,
      "the destination's QEMU 7.2.15 has no multifd",
    );
    assertEquals(error.code, "refused");
  }
  assertEquals(destination.qemu.count("migrate-set-capabilities"), 0);
  await one.close();
  await destination.end();
});

Deno.test("a destination's QEMU without the compression is refused together with other problems", async () => {
  const destination = await fakeDestination(systemClock, withMultifd(["none", "zlib"]));
  destination.qemu.status = "running";
  const one = await destination.source();
  const error = await assertRejects(
    () => one.prepare({ ...asking("one"), checkOnly: true }, never),
    RpcError,
  );
  assertEquals(error.problems.length, 2);
  assertMatch(error.problems.join(), /expected "inmigrate".*without zstd/);
  await one.close();
  await destination.end();
});

Deno.test("the destination's QEMU gets what was agreed on, and its old settings back", async () => {
  const destination = await fakeDestination(systemClock, withMultifd(["none", "zlib", "zstd"]));
  const one = await destination.source();
  const { multifd } = await one.prepare(asking("one"), never);
  const agreed = { ...ASKED, zeroPages: true };
  assertEquals([multifd, destination.written.at(-1)!.multifd], [agreed, agreed]);
  const sets = () =>
    destination.qemu.fake.received.filter(({ command }) => command === "migrate-set-parameters");
  assertEquals(sets()[0]!.args, {
    ...{ "multifd-channels": 4, "multifd-compression": "zstd", "zero-page-detection": "multifd" },
  });
  await one.abort(cancelled("over"));
  assertEquals(sets()[1]!.args, {
    ...{ "multifd-channels": 2, "multifd-compression": "none", "zero-page-detection": "none" },
  });
  await one.close();
  await destination.end();
});

Deno.test("a QEMU that answers nothing once its streams have ended is given up within seconds", async () => {
  const clock = new ManualClock();
  const reported: { code: string; message: string }[] = [];
  let isDeaf = false;
  const deaf = (answer: object) => () => isDeaf ? undefined : { return: answer };
  const destination = await fakeDestination(clock, {
    ...withMultifd(["none", "zstd"]),
    "migrate-incoming": () => ({ return: {} }),
    "query-status": deaf({ status: "inmigrate", running: false }),
    "query-block-exports": deaf([]),
    "query-migrate": deaf({ status: "none" }),
  }, {
    report: (event) => event.event === "warning" && reported.push(event),
  });
  const { qemu, migration } = destination;
  const one = await destination.source();
  await one.prepare(asking("one"), never);
  await one.openChannel("ram");
  isDeaf = true;
  const asked = qemu.count("query-block-exports");
  let left: readonly string[] | undefined;
  const aborting = one.abort(cancelled("Ctrl-C")).then((answer) => left = answer);
  await turns();
  await pass(clock, 10);
  await withDeadline(systemClock, 5_000, "an answer to the abort", aborting);
  await assertRejects(() => migration.outcome(), MigrationError, "Ctrl-C");
  assertEquals(reported.map(({ code }) => code), ["destination-silent"]);
  assertMatch(reported[0]!.message, /^The destination's QEMU \(.*Kill its process with SIGKILL/);
  // The next run with this QEMU finds out by the record; the source's user gets no second advice.
  assertEquals([left, migration.leftBehind, destination.written.at(-1)?.left], [
    [],
    true,
    ["QEMU answers no QMP command"],
  ]);
  assertEquals(qemu.count("query-block-exports"), asked);
  await one.close(100);
  await destination.end();
});
