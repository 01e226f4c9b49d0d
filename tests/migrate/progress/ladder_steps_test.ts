import { assert, assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../../../src/io/mod.ts";
import type { MigrationEvent } from "../../../src/migrate/events.ts";
import { LadderError, LadderSteps } from "../../../src/migrate/progress/ladder_steps.ts";
import type { RamChoices } from "../../../src/migrate/ram_choices.ts";
import { MigrationSettings, QmpClient } from "../../../src/qmp/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { ManualClock, settle } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";

const MiB = 1024 * 1024;
const NAMES = ["cpu-throttle-initial", "cpu-throttle-increment", "max-cpu-throttle"];

/** A migration whose RAM crosses at 100 MiB/s, with 384 MiB in each pass, of a guest that changes 300 MiB/s. */
async function crossing(
  ram: RamChoices = {},
  isSinglePass = false,
  changed: number | undefined = 300,
) {
  const set: unknown[] = [];
  const values: Record<string, unknown> = {
    ...{ "cpu-throttle-initial": 20, "cpu-throttle-increment": 10, "max-cpu-throttle": 99 },
  };
  const [ours, theirs] = memoryPipe();
  const qemu = new FakeQemu(theirs, {
    "query-migrate-capabilities": () => ({
      return: [{ capability: "auto-converge", state: false }],
    }),
    "query-migrate-parameters": () => ({ return: values }),
    "migrate-set-capabilities": () => ({ return: {} }),
    "migrate-set-parameters": (args) => {
      Object.assign(values, args);
      set.push(NAMES.map((name) => args[name]));
      return { return: {} };
    },
    "calc-dirty-rate": () =>
      changed ? { return: {} } : { error: { class: "GenericError", desc: "in progress" } },
    "query-dirty-rate": () => ({ return: { status: "measured", "dirty-rate": changed } }),
  });
  const qmp = await QmpClient.open(ours);
  const clock = new ManualClock();
  const events: MigrationEvent[] = [];
  const steps = new LadderSteps({
    ...{ qmp, clock, log: silentLogger, report: (event: MigrationEvent) => events.push(event) },
    ...{ signal: new AbortController().signal, options: { ram, limits: { maxDowntimeMs: 300 } } },
  });
  let iteration = 0;
  let throttle = 0;
  return {
    ...{ steps, events, set, qemu, clock, values },
    async begin(start?: () => Promise<boolean>) {
      const settings = new MigrationSettings(qmp);
      const plan = steps.plan(isSinglePass);
      await settings.apply({ ...plan, changing: NAMES });
      set.length = 0;
      steps.begin(settings, start && { start, isStep: true });
      return plan;
    },
    /** Sends passes, as QEMU does with the throttle that it has. */
    async pass(count: number, percent = throttle) {
      throttle = percent;
      for (let i = 0; i < count; i++) {
        iteration++;
        for (let left = 384; left > 0; left -= 96) {
          steps.look({
            ...{
              transferred: (iteration * 384 - left) * MiB,
              remaining: left * MiB,
              total: 512 * MiB,
            },
            ...{ dirtyRate: 100 * MiB, iteration },
            ...(throttle > 0 ? { throttlePercent: throttle } : {}),
          });
          await clock.advance(960);
          await settle();
        }
      }
    },
  };
}

function ladderEvents(events: readonly MigrationEvent[]) {
  return events.flatMap((e) =>
    e.event === "ladder" ? [`${e.step} ${e.throttlePercent} ${e.message}`] : []
  );
}

Deno.test("QEMU gets the capability from the start, with a throttle of 1 % that the guest does not feel", async () => {
  const { begin, qemu } = await crossing();
  assertEquals(await begin(), {
    capabilities: { "auto-converge": true },
    parameters: {
      ...{ "cpu-throttle-initial": 1, "cpu-throttle-increment": 99, "max-cpu-throttle": 1 },
    },
  });
  qemu.close();
});

Deno.test("a guest is throttled by as much as it changes too much, and vmferry reports the rates once", async () => {
  const { begin, pass, set, events, qemu } = await crossing();
  await begin();
  await pass(2, 1);
  assertEquals([set, events], [[], []]);
  await pass(1);
  assertEquals(set, [[92, 99, 92]]);
  assertEquals(ladderEvents(events), [
    "auto-converge 92 The guest changes 300 MiB/s of RAM, and 100 MiB/s cross: the last pass has had " +
    "as much to send as the one before, 384 MiB. QEMU throttles the guest's CPUs by 92 % " +
    "(auto-converge). 'vmferry set auto-converge=off' ends that",
  ]);
  await pass(1);
  await pass(3, 92);
  assertEquals(set.slice(1), [[96, 99, 96]], "that was too little");
  assertEquals(ladderEvents(events).length, 1);
  qemu.close();
});

Deno.test("a guest that was busy for one pass only is throttled after another one without gain", async () => {
  const { begin, pass, set, qemu } = await crossing({}, false, 90);
  await begin();
  await pass(3, 1);
  assertEquals(set, []);
  await pass(1, 1);
  assertEquals(set, [[73, 99, 73]]);
  qemu.close();
});

Deno.test("the throttle that the user gives is kept to", async () => {
  const given = { when: "ladder", initial: 30, increment: 25, max: 60 } as const;
  const { begin, pass, set, qemu } = await crossing({ autoConverge: given });
  await begin();
  await pass(4, 1);
  await pass(4, 30);
  await pass(4, 55);
  assertEquals(set, [[30, 99, 30], [55, 99, 55], [60, 99, 60]]);
  qemu.close();
});

Deno.test("a guest is throttled from the start by QEMU's own steps where the user asks for it", async () => {
  const { begin, pass, set, events, qemu } = await crossing({
    autoConverge: { when: "start", max: 70 },
  });
  const { parameters } = await begin();
  assertEquals(NAMES.map((name) => parameters[name]), [20, 10, 70]);
  await pass(2);
  await pass(3, 20);
  await pass(3, 30);
  assertEquals(set, []);
  assertEquals(ladderEvents(events).length, 1, "announced once, when it begins");
  qemu.close();
});

Deno.test("without a step that is allowed vmferry says how to end the migration, once a minute", async () => {
  const { begin, pass, events, qemu } = await crossing({ autoConverge: { when: "never" } });
  assertEquals(await begin(), { capabilities: {}, parameters: {} });
  await pass(12);
  const [warning, ...more] = events;
  assert(warning?.event === "warning" && warning.code === "ram-not-converging");
  assertEquals(
    warning.message.includes("auto-converge"),
    false,
    "it can't be switched on any more",
  );
  assertEquals(more, []);
  await pass(10);
  assertEquals(events.length, 2);
  qemu.close();
});

Deno.test("a throttle that is switched on while RAM crosses begins at once, and ends when it is switched off", async () => {
  const { begin, pass, steps, set, events, clock, qemu } = await crossing();
  await begin();
  await pass(2, 1);
  const on = steps.set({ autoConverge: true });
  await settle();
  await clock.advance(200);
  await on;
  assertEquals(set, [[92, 99, 92]]);
  await steps.set({ autoConverge: true });
  assertEquals(set.length, 1, "it is on already");
  await steps.set({ autoConverge: false });
  assertEquals(set.slice(1), [[1, 99, 1]]);
  await pass(6, 1);
  assertEquals(set.length, 2, "and is not switched on again");
  assertEquals(ladderEvents(events).length, 1);
  qemu.close();
});

Deno.test("what the user switches before RAM crosses holds from its start", async () => {
  const on = await crossing();
  await on.steps.set({ autoConverge: true });
  assertEquals((await on.begin()).parameters["cpu-throttle-initial"], 20);
  const off = await crossing();
  await off.steps.set({ autoConverge: false });
  assertEquals(await off.begin(), { capabilities: {}, parameters: {} });
  on.qemu.close();
  off.qemu.close();
});

Deno.test("a throttle that QEMU does not take any more is refused with the reason", async () => {
  const never = await crossing({ autoConverge: { when: "never" } });
  await never.begin();
  await assertRejects(
    () => never.steps.set({ autoConverge: true }),
    LadderError,
    "before RAM begins",
  );
  const once = await crossing({}, true);
  assertEquals(await once.begin(), { capabilities: {}, parameters: {} });
  await assertRejects(() => once.steps.set({ autoConverge: true }), LadderError, "single pass");
  never.qemu.close();
  once.qemu.close();
});

Deno.test("with a dirty limit the guest is not throttled", async () => {
  const { begin, steps, qemu } = await crossing({ dirtyLimitMib: 50 });
  assertEquals(await begin(), {
    capabilities: { "dirty-limit": true },
    parameters: { "vcpu-dirty-limit": 50 },
  });
  await assertRejects(() => steps.set({ autoConverge: true }), LadderError, "--dirty-limit");
  qemu.close();
});

Deno.test("post-copy begins once the largest throttle has not helped, where the user allows it", async () => {
  const { begin, pass, events, qemu } = await crossing({
    autoConverge: { when: "ladder", max: 92 },
  });
  let started = 0;
  await begin(() => Promise.resolve(++started > 0));
  await pass(4, 1);
  await pass(5, 92);
  assertEquals(started, 1);
  assertEquals(events.map((e) => e.event === "ladder" && e.step), [
    "auto-converge",
    "postcopy",
    false,
  ]);
  qemu.close();
});

Deno.test("post-copy begins when the user asks for it, and never once they forbid it", async () => {
  const now = await crossing();
  await now.begin(() => Promise.resolve(true));
  await now.steps.set({ postcopy: "now" });
  assertEquals(ladderEvents(now.events).length, 1);
  const never = await crossing({ autoConverge: { when: "never" } });
  await never.begin(() => Promise.reject(new Error("it must not be started")));
  await never.steps.set({ postcopy: "never" });
  await never.pass(5);
  assertEquals(never.events.map((e) => e.event), ["warning"]);
  const not = await crossing();
  await not.begin();
  await assertRejects(() => not.steps.set({ postcopy: "now" }), LadderError, "--allow-postcopy");
  for (const { qemu } of [now, never, not]) qemu.close();
});

Deno.test("a QEMU that does not measure the guest is asked for a throttle by its figure of the pass", async () => {
  const { begin, pass, set, qemu } = await crossing({}, false, 0);
  await begin();
  await pass(4, 1);
  assertEquals(set, [[75, 99, 75]]);
  qemu.close();
});
