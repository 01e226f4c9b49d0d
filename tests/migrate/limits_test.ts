import { assertEquals } from "@std/assert";
import { Limits } from "../../src/migrate/mod.ts";
import { MigrationSettings, QmpClient } from "../../src/qmp/mod.ts";
import { FakeQemu } from "../support/fake_qemu.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

const MiB = 1024 * 1024;

Deno.test("limits hold for what is there and for what comes later", async () => {
  const limits = new Limits(null, 300);
  const rates: number[] = [];
  const told: unknown[] = [];
  const session = { setBandwidth: (rate: number) => void rates.push(rate) };
  const settings = { apply: (wanted: unknown) => Promise.resolve(void told.push(wanted)) };
  limits.holdSession(session);
  assertEquals(rates, [], "no limit is none from the start");
  await limits.set({ bandwidth: 5 * MiB });
  assertEquals([rates, told], [[5 * MiB], []]);
  await limits.set({ maxDowntimeMs: 900 });
  await limits.holdRam(settings);
  await limits.set({ bandwidth: null });
  assertEquals(rates, [5 * MiB, Infinity], "the downtime is none of the tunnel's business");
  assertEquals(told, [
    { parameters: { "max-bandwidth": 5 * MiB, "downtime-limit": 900 } },
    { parameters: { "max-bandwidth": 2 ** 40, "downtime-limit": 900 } },
  ]);
  assertEquals([limits.bandwidth, limits.maxDowntimeMs], [null, 900]);
});

Deno.test("QEMU's settings go back to what they were, also those first changed on the way, and stay so", async () => {
  const [ours, theirs] = memoryPipe();
  const parameters: Record<string, unknown> = { "max-bandwidth": 1000, "downtime-limit": 300 };
  new FakeQemu(theirs, {
    "query-migrate-capabilities": () => ({ return: [] }),
    "query-migrate-parameters": () => ({ return: { ...parameters } }),
    "migrate-set-parameters": (args) => {
      Object.assign(parameters, args);
      return { return: {} };
    },
  });
  await using qmp = await QmpClient.open(ours);
  const settings = new MigrationSettings(qmp);
  const limits = new Limits(500, 300);
  await limits.holdRam(settings);
  await limits.set({ maxDowntimeMs: 700 });
  assertEquals(parameters, { "max-bandwidth": 500, "downtime-limit": 700 });
  // Asked for at the same moment: whatever comes first, what was there before has the last word.
  await Promise.all([
    limits.set({ bandwidth: 9 }),
    settings.restore(),
    limits.set({ bandwidth: 8 }),
  ]);
  assertEquals(parameters, { "max-bandwidth": 1000, "downtime-limit": 300 });
});
