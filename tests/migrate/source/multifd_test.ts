import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { prepare } from "../../../src/migrate/source/prepare.ts";
import { inTurn } from "../../../src/migrate/source/ram_connection.ts";
import { sendRam } from "../../../src/migrate/source/send_ram.ts";
import type { Handlers } from "../../../src/rpc/mod.ts";
import type { TunnelStream } from "../../../src/tunnel/mod.ts";
import { fakeSource, type FakeSourceOptions } from "../../support/fake_source.ts";
import { copied } from "./phases.ts";

const ASKED = { channels: 3, compression: "none" };
const PREPARED = {
  postcopy: null,
  hashes: null,
  ...{ qemuVersion: "10.0.2", warnings: [], images: null, recover: "" },
  exports: [{ disk: "vd0", exportName: "vd0" }],
};

/** A source that asks for multifd, with QEMUs that have it. */
function asking(handlers: Handlers = {}): FakeSourceOptions {
  return {
    options: { ram: { multifd: ASKED } },
    commands: {
      "query-migrate-capabilities": () => ({
        return: [{ capability: "multifd", state: false }, { capability: "xbzrle", state: true }],
      }),
      "query-migrate-parameters": () => ({
        return: { "multifd-channels": 2, "multifd-compression": "none" },
      }),
    },
    handlers: {
      prepare: ({ multifd }) =>
        Promise.resolve({ ...PREPARED, multifd: multifd && { ...multifd, zeroPages: false } }),
      ...handlers,
    },
  };
}

Deno.test("a destination that does not know multifd is refused before it prepares anything", async () => {
  const source = await fakeSource(
    asking({ prepare: () => Promise.resolve({ ...PREPARED, multifd: null }) }),
  );
  const error = await assertRejects(() => prepare(source.context), MigrationError, "older");
  assertEquals([error.kind, error.side], ["refused", "destination"]);
  const calls = source.order.filter((entry) => entry.startsWith("rpc:prepare"));
  assertEquals(calls, ["rpc:prepare check"]);
  await source.end();
});

Deno.test("a source's QEMU without multifd is refused before the destination hears of it", async () => {
  const source = await fakeSource({
    ...asking(),
    commands: {
      "query-migrate-capabilities": () => ({ return: [{ capability: "events", state: true }] }),
    },
  });
  const error = await assertRejects(
    () => prepare(source.context),
    MigrationError,
    "has no multifd",
  );
  assertEquals([error.kind, error.side, source.order.includes("connect")], [
    ...["refused", "source", false],
  ]);
  await source.end();
});

Deno.test("the journal has what both ends agreed on, and QEMU is set to it", async () => {
  const { source, result } = await copied(asking());
  const agreed = { ...ASKED, zeroPages: false };
  assertEquals(source.written.at(-1)!.multifd, agreed);
  const from = source.order.length;
  await sendRam(source.context, result);
  const opened = source.order.slice(from).filter((entry) => entry === "rpc:openTunnel ram");
  assertEquals(opened.length, 1 + ASKED.channels);
  const set = (command: string) =>
    source.qemu.qemu.fake.received.find((c) => c.command === command)!.args;
  assertEquals(set("migrate-set-capabilities"), {
    capabilities: [
      { capability: "multifd", state: true },
      { capability: "xbzrle", state: false },
    ],
  });
  assertEquals(set("migrate-set-parameters"), { "multifd-channels": 3 });
  // What undoes it.
  assertEquals(source.written.at(-1)!.settings.parameters, { "multifd-channels": 2 });
  await source.end();
});

Deno.test("each connection of QEMU's gets the next stream of RAM, one more is refused", async () => {
  const streams = ["main", "a", "b"] as unknown as TunnelStream[];
  const open = inTurn(streams);
  const never = new AbortController().signal;
  assertEquals(await Promise.all(streams.map(() => open("ram", never))), streams);
  const error = await assertRejects(() => open("ram", never), MigrationError, "the 3 that");
  assertEquals(error.code, "second-connection");
});
