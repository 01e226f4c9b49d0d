import { assertEquals, assertMatch } from "@std/assert";
import { systemClock } from "../../../src/io/mod.ts";
import { ASLEEP_STUCK, runAgain } from "../../../src/migrate/guest/run_again.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import { type Answer, FakeQemu } from "../../support/fake_qemu.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
/** The result for a guest that a migration left in `status`, and QEMU's commands. */
async function outcome(status: string, asleep: boolean): Promise<[string | undefined, string]> {
  const [ours, theirs] = memoryPipe();
  const fake = new FakeQemu(theirs, {
    "query-status": () => ({ return: { status, running: status === "running" } }),
    "query-commands": () => ({ return: [{ name: "announce-self" }] }),
    "announce-self": () => ({ return: {} }),
    "cont": () => {
      status = asleep ? "suspended" : "running";
      return { return: {} };
    },
  });
  await using qmp = await QmpClient.open(ours);
  const stuck = await runAgain(qmp, systemClock, true, asleep);
  const changes = fake.received.map(({ command }) => command)
    .filter((command) => command === "cont" || command === "announce-self");
  return [stuck, changes.join(" ")];
}

Deno.test("a guest that sleeps is not resumed once QEMU has completed its migration", async () => {
  assertEquals(await outcome("postmigrate", true), [ASLEEP_STUCK, ""]);
  assertEquals(await outcome("suspended", true), [undefined, ""]);
});

Deno.test("a guest that resumes at the source after its RAM has crossed is announced to the network", async () => {
  assertEquals(await outcome("postmigrate", false), [undefined, "cont announce-self"]);
  assertEquals(await outcome("paused", false), [undefined, "cont"]);
});

interface Answers {
  /** QEMU's run states, one a question; the last one stays. */
  readonly states: readonly string[];
  readonly pausedByUs?: boolean;
  readonly cont?: () => Answer;
  readonly stepMs?: number;
}

/** The outcome for a guest in these states, and how many `cont` QEMU got, by a clock that a test moves. */
async function over(
  seconds: number,
  { states, pausedByUs = true, cont, stepMs = 100 }: Answers,
) {
  const [ours, theirs] = memoryPipe();
  const left = [...states];
  const fake: FakeQemu = new FakeQemu(theirs, {
    "query-status": () => {
      const status = left.length > 1 ? left.shift()! : left[0]!;
      if (status !== "gone") return { return: { status, running: status === "running" } };
      fake.close();
      return undefined;
    },
    "cont": cont ?? (() => ({ return: {} })),
  });
  const qmp = await QmpClient.open(ours);
  const clock = new ManualClock();
  const running = runAgain(qmp, clock, pausedByUs, false);
  let said = "waits" as string | undefined;
  running.then((stuck) => said = stuck);
  while (clock.now() < seconds * 1000) {
    for (let i = 0; i < 2; i++) await new Promise((resolve) => setTimeout(resolve, 0));
    await clock.advance(stepMs);
  }
  const conts = fake.received.filter(({ command }) => command === "cont").length;
  fake.close();
  return { said, conts, armed: clock.armed };
}

Deno.test("a guest that QEMU is still migrating is not continued before that is over", async () => {
  const states = [...Array(5).fill("finish-migrate"), "running"];
  assertEquals(await over(2, { states }), { said: undefined, conts: 0, armed: 0 });
});

Deno.test("a guest that stays paused is continued again until it runs", async () => {
  const states = ["paused", "paused", "running"];
  assertEquals(await over(2, { states }), { said: undefined, conts: 2, armed: 0 });
});

Deno.test("a guest that somebody else paused is not continued, and reported as it is", async () => {
  assertEquals(await over(1, { states: ["paused"], pausedByUs: false }), {
    ...{ said: 'The guest at the source is in state "paused"', conts: 0, armed: 0 },
  });
});

Deno.test("a guest that is paused for a reason of its own is not continued", async () => {
  for (const state of ["io-error", "guest-panicked", "shutdown", "internal-error", "watchdog"]) {
    const { said, conts } = await over(1, { states: [state] });
    assertEquals([said, conts], [`The guest at the source is in state "${state}"`, 0]);
  }
});

Deno.test("a guest that has an I/O error once it was continued is not continued again", async () => {
  const { said, conts } = await over(1, { states: ["postmigrate", "io-error"] });
  assertEquals([said, conts], ['The guest at the source is in state "io-error"', 1]);
});

Deno.test("a QEMU that never ends its migration is given up after a minute", async () => {
  const states = ["finish-migrate"];
  assertEquals((await over(59, { states, stepMs: 1000 })).said, "waits");
  const { said, conts } = await over(61, { states, stepMs: 1000 });
  assertMatch(String(said), /cannot tell .*: Waited 60.0 s/);
  assertEquals(conts, 0);
});

Deno.test("a QEMU that refuses to continue the guest is reported with its reason", async () => {
  const { said } = await over(1, {
    states: ["postmigrate"],
    cont: () => ({ error: { class: "GenericError", desc: "Failed to lock byte 201" } }),
  });
  assertMatch(String(said), /Failed to lock byte 201/);
});

Deno.test("a QEMU that ends is reported, and not waited for", async () => {
  const { said, conts } = await over(1, { states: ["finish-migrate", "gone"] });
  assertMatch(String(said), /cannot tell whether the guest runs/);
  assertEquals(conts, 0);
});
