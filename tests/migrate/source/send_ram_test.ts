import { assertEquals, assertRejects } from "@std/assert";
import { MigrationError } from "../../../src/migrate/errors.ts";
import { sendRam } from "../../../src/migrate/source/send_ram.ts";
import { copied, until } from "./phases.ts";

Deno.test("the journal has the settings of before when QEMU gets new ones and RAM", async () => {
  const { source, result } = await copied();
  const from = source.order.length;
  await sendRam(source.context, result);
  assertEquals(source.order.slice(from).filter((entry) => entry !== "rpc:openTunnel nbd"), [
    "rpc:openTunnel ram",
    "journal:ram",
    "qmp:migrate-set-capabilities",
    "qmp:migrate-set-parameters",
    // The limits may have changed since the settings were planned.
    "qmp:migrate-set-parameters",
    "qmp:migrate",
  ]);
  const { settings, state } = source.written.at(-1)!;
  assertEquals(state, "ram");
  assertEquals(settings.capabilities, [{ capability: "events", state: false }]);
  assertEquals(Object.keys(settings.parameters).includes("max-bandwidth"), true);
  assertEquals(source.context.qemu.streamAsked, true);
  await source.end();
});

Deno.test("QEMU changes nothing while the journal cannot be written", async () => {
  const { source, result } = await copied({
    onWrite: ({ state }) =>
      state === "ram" ? Promise.reject(new Error("No space left")) : Promise.resolve(),
  });
  const from = source.order.length;
  await assertRejects(() => sendRam(source.context, result), Error, "No space left");
  const changes = source.order.slice(from).filter((entry) => entry.startsWith("qmp:"));
  assertEquals(changes, []);
  assertEquals(source.context.state.current, "mirror");
  await source.end();
});

Deno.test("a cancel while the journal is written keeps RAM here", async () => {
  const { source, result } = await copied({
    onWrite: ({ state }) => {
      if (state === "ram") {
        source.context.fault(new MigrationError("cancelled", "cancelled", "source", "Cancelled"));
      }
      return Promise.resolve();
    },
  });
  await assertRejects(() => sendRam(source.context, result), MigrationError, "Cancelled");
  assertEquals([source.qemu.count("migrate"), source.context.state.current], [0, "mirror"]);
  await source.end();
});

Deno.test("a machine that changed since it was compared fails before QEMU sends RAM", async () => {
  let cpus = 1;
  const { source, result } = await copied({
    commands: { "query-cpus-fast": () => ({ return: Array.from({ length: cpus }, () => ({})) }) },
  });
  cpus = 2;
  const error = await assertRejects(() => sendRam(source.context, result), MigrationError);
  assertEquals([error.code, source.qemu.count("migrate")], ["machine-changed", 0]);
  await source.end();
});

Deno.test("a migration that QEMU ends early fails with QEMU's reason", async () => {
  const { source, result } = await copied({ commands: { "migrate": () => ({ return: {} }) } });
  const sending = sendRam(source.context, result);
  await until("QEMU sends", () => source.qemu.count("migrate") === 1);
  source.qemu.migrationError = "Unable to write to socket";
  await source.qemu.migrate("failed");
  const error = await assertRejects(() => sending, MigrationError, "Unable to write to socket");
  assertEquals([error.code, error.side], ["ram-failed", "source"]);
  await source.end();
});

Deno.test("a migration without any progress fails after its stall time", async () => {
  const { source, result } = await copied({
    commands: {
      "migrate": () => {
        source.qemu.migration = "active";
        return { return: {} };
      },
    },
  });
  const sending = sendRam(source.context, result);
  let error: unknown;
  sending.catch((failure) => error = failure);
  await until("QEMU sends", () => source.qemu.count("migrate") === 1);
  for (let seconds = 0; seconds < 400 && error === undefined; seconds++) {
    await source.clock.advance(1000);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assertEquals(String(error).includes("no progress"), true, String(error));
  await source.end();
});
