import { assertEquals } from "@std/assert";
import { Limits } from "../../src/migrate/mod.ts";
import { MigrationSettings, QmpClient, type WantedSettings } from "../../src/qmp/mod.ts";
import { FakeQemu } from "../support/fake_qemu.ts";
import { memoryPipe } from "../support/memory_pipe.ts";

const MiB = 1024 * 1024;

Deno.test("limits apply to the present session and QEMU, and to later ones", async () => {
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
    { parameters: { "max-bandwidth": 5 * MiB, "downtime-limit": 10 } },
    { parameters: { "max-bandwidth": 2 ** 40, "downtime-limit": 10 } },
  ]);
  assertEquals([limits.bandwidth, limits.maxDowntimeMs], [null, 900]);
});

Deno.test("the lower one of bandwidth and share holds for the session and for QEMU", async () => {
  const limits = new Limits(8 * MiB, 300);
  const rates: number[] = [];
  const told: unknown[] = [];
  limits.holdSession({ setBandwidth: (rate: number) => void rates.push(rate) });
  await limits.holdRam({
    apply: ({ parameters }) => Promise.resolve(void told.push(parameters!["max-bandwidth"])),
  });
  await limits.setShare(4 * MiB);
  await limits.set({ bandwidth: 2 * MiB });
  await limits.setShare(3 * MiB);
  await limits.set({ bandwidth: null });
  assertEquals(rates, [8 * MiB, 4 * MiB, 2 * MiB, 3 * MiB]);
  assertEquals(told, [8 * MiB, 4 * MiB, 2 * MiB, 3 * MiB]);
  assertEquals([limits.bandwidth, limits.share], [null, 3 * MiB]);
});

Deno.test("QEMU's downtime limit begins short and doubles with each pass that was not enough", async () => {
  const told: number[] = [];
  const settings = {
    apply: ({ parameters }: WantedSettings) =>
      Promise.resolve(void told.push(parameters!["downtime-limit"] as number)),
  };
  const limits = new Limits(null, 300);
  await limits.holdRam(settings);
  for (let round = 1; round <= 10; round++) await limits.roundBegan(round, round * 1000);
  assertEquals(told, [10, 20, 40, 80, 160, 300]);
  assertEquals(limits.maxDowntimeMs, 300, "the reported limit is the requested one");
});

Deno.test("a pass that ends before QEMU has used the last downtime limit does not raise it", async () => {
  const limits = new Limits(null, 300);
  const at: number[] = [];
  for (let ms = 0; ms <= 300; ms += 30) {
    await limits.roundBegan(2 + ms / 30, ms);
    at.push(limits.parameters["downtime-limit"]!);
  }
  assertEquals(at, [10, 20, 20, 20, 20, 40, 40, 40, 40, 80, 80]);
});

Deno.test("a downtime that is set while RAM crosses applies at once, and so does one below the first limit", async () => {
  const told: unknown[] = [];
  const settings = { apply: (wanted: unknown) => Promise.resolve(void told.push(wanted)) };
  const limits = new Limits(null, 5);
  await limits.holdRam(settings);
  await limits.set({ maxDowntimeMs: 2000 });
  await limits.roundBegan(3, 1000);
  await limits.set({ maxDowntimeMs: 1 });
  assertEquals(
    told,
    [5, 2000, 1].map((ms) => ({ parameters: { "max-bandwidth": 2 ** 40, "downtime-limit": ms } })),
  );
});

Deno.test("a single pass keeps the downtime limit 0, whatever is set and however long it takes", async () => {
  const told: unknown[] = [];
  const settings = { apply: (wanted: unknown) => Promise.resolve(void told.push(wanted)) };
  const limits = new Limits(null, 300);
  limits.sendRamOnce();
  await limits.holdRam(settings);
  for (let round = 1; round <= 5; round++) await limits.roundBegan(round, round * 1000);
  await limits.set({ maxDowntimeMs: 2000 });
  const once = { parameters: { "max-bandwidth": 2 ** 40, "downtime-limit": 0 } };
  assertEquals(told, [once, once]);
  assertEquals(limits.maxDowntimeMs, 2000);
});

Deno.test("every changed setting of QEMU is restored once, also one that was changed during the migration", async () => {
  const [ours, theirs] = memoryPipe();
  const parameters: Record<string, unknown> = { "max-bandwidth": 1000, "downtime-limit": 300 };
  const qemu = new FakeQemu(theirs, {
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
  const asked = () => qemu.received.filter(({ command }) => command.startsWith("query-m")).length;
  assertEquals(asked(), 2, "nothing is asked once it is known what was");
  // Both at the same moment: in either order the earlier values are restored last.
  await Promise.all([
    limits.set({ bandwidth: 9 }),
    settings.restore(),
    limits.set({ bandwidth: 8 }),
  ]);
  assertEquals(parameters, { "max-bandwidth": 1000, "downtime-limit": 300 });
});
