import { assertEquals, assertRejects } from "@std/assert";
import { MigrationSettings, QmpClient } from "../../src/qmp/mod.ts";
import { type Answer, FakeQemu } from "../support/fake_qemu.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

type Values = Record<string, unknown>;

/** A client of a QEMU with these settings, which refuses a command with a setting of `refused`. */
async function client(capabilities: Record<string, boolean>, parameters: Values) {
  const [ours, theirs] = memoryPipe();
  const refused = new Set<string>();
  const set = (into: Values, values: Values): Answer => {
    const name = Object.keys(values).find((name) => refused.has(name));
    if (name !== undefined) return { error: { class: "GenericError", desc: `${name} is bad` } };
    Object.assign(into, values);
    return { return: {} };
  };
  const qemu = new FakeQemu(theirs, {
    "query-migrate-capabilities": () => ({
      return: Object.entries(capabilities).map(([capability, state]) => ({ capability, state })),
    }),
    "query-migrate-parameters": () => ({ return: { ...parameters } }),
    "migrate-set-parameters": (args) => set(parameters, args),
    "migrate-set-capabilities": ({ capabilities: list }) =>
      set(
        capabilities,
        Object.fromEntries(
          (list as { capability: string; state: boolean }[]).map((c) => [c.capability, c.state]),
        ),
      ),
  });
  return { qmp: await QmpClient.open(ours), qemu, capabilities, parameters, refused };
}

Deno.test("a value that QEMU refuses keeps no other value from being restored", async () => {
  const { qmp, capabilities, parameters, refused } = await client(
    { events: false, multifd: true },
    { mode: "cpr-exec", "tls-creds": "tls0" },
  );
  const settings = new MigrationSettings(qmp);
  await settings.apply({
    capabilities: { events: true, multifd: false },
    parameters: { mode: "normal", "tls-creds": "" },
  });
  refused.add("mode").add("multifd");
  await assertRejects(() => settings.restore(), Error, "mode is bad; multifd is bad");
  assertEquals(parameters, { mode: "normal", "tls-creds": "tls0" });
  assertEquals(capabilities, { events: false, multifd: false });
  qmp.close();
});

Deno.test("a capability that is switched off is restored before one that is switched on", async () => {
  const { qmp, qemu } = await client({ "return-path": false, "background-snapshot": true }, {});
  const settings = new MigrationSettings(qmp, {
    capabilities: [
      { capability: "background-snapshot", state: true },
      { capability: "return-path", state: false },
    ],
    parameters: {},
  });
  await settings.restore();
  const list = qemu.received.at(-1)!.args.capabilities as { capability: string }[];
  assertEquals(list.map((c) => c.capability), ["return-path", "background-snapshot"]);
  qmp.close();
});

Deno.test("a parameter that may change later is remembered although it does not change now", async () => {
  const { qmp, parameters } = await client({}, { "downtime-limit": 10, "max-bandwidth": 7 });
  const settings = new MigrationSettings(qmp);
  await settings.plan({ parameters: { "downtime-limit": 10 }, changing: ["downtime-limit"] });
  assertEquals(settings.before.parameters, { "downtime-limit": 10 });
  await settings.set();
  await settings.apply({ parameters: { "downtime-limit": 20 } });
  await settings.restore();
  assertEquals(parameters, { "downtime-limit": 10, "max-bandwidth": 7 });
  qmp.close();
});

Deno.test("a parameter is replaced only if it has the one value that does harm", async () => {
  for (const [left, then] of [["none", "legacy"], ["multifd", "multifd"]]) {
    const { qmp, parameters } = await client({}, { "zero-page-detection": left });
    const settings = new MigrationSettings(qmp);
    await settings.apply({ replaced: { "zero-page-detection": ["none", "legacy"] } });
    assertEquals(parameters["zero-page-detection"], then);
    await settings.restore();
    assertEquals(parameters["zero-page-detection"], left);
    qmp.close();
  }
});
