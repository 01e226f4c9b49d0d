import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { LaunchRecord } from "../../../src/launch/mod.ts";
import {
  afterUndo,
  launchUsers,
  refuseOthers,
} from "../../../src/launch/destination/rules/other_launches.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const made = (kind: "image" | "directory" | "log", path: string) => ({
  ...{ kind, path, temporary: null, begunAt: null, identity: null },
});

const FIRST: LaunchRecord = {
  ...{ version: 1, side: "launch", migration: "m1", name: "vm1", state: "preparing" },
  ...{ mayHaveGuest: false, qmp: "/run/q1", log: null, qemu: { unit: null, pidFile: null } },
  made: [made("directory", "/vm"), made("image", "/vm/a"), made("log", "/log/vm1.log")],
  reused: ["/vm/old"],
};

const SECOND: LaunchRecord = { ...FIRST, migration: "m2", name: "vm2", made: [], reused: [] };

Deno.test("a file of another launch is in use before any process has it open", () => {
  const users = launchUsers([FIRST], ["/vm/a", "/vm/old", "/vm", "/vm/b"]);
  const name = "the launch of vm1 that is under way (migration m1)";
  assertEquals(users, [name, name, undefined, undefined]);
});

Deno.test("a launch with a path or the guest name of another one is refused by name", () => {
  const refusal = (change: Partial<LaunchRecord>) =>
    assertThrows(() => refuseOthers([FIRST], { ...SECOND, ...change }), MigrationError);
  for (const change of [{ made: [made("image", "/vm/a")] }, { reused: ["/vm/a"] }]) {
    const { kind, code, message } = refusal(change);
    assertEquals([kind, code], ["refused", "image-in-use"]);
    assertStringIncludes(message, "the launch of vm1 that is under way (migration m1) has /vm/a");
  }
  assertStringIncludes(refusal({ name: "vm1" }).message, "has the same guest name");
  refuseOthers([FIRST], { ...SECOND, made: [made("directory", "/vm"), made("image", "/vm/b")] });
});

Deno.test("the next launch waits for the undo of one with its files, a minute at most", async () => {
  const cases: [Partial<LaunchRecord>, string, number][] = [
    [{}, "/vm/a", 0],
    [{ undoing: true }, "/vm/b", 0],
    [{ undoing: true }, "/vm/a", 60],
  ];
  for (const [change, path, seconds] of cases) {
    const clock = new ManualClock();
    const begin = clock.now();
    let over: number | undefined;
    afterUndo({ others: () => Promise.resolve([{ ...FIRST, ...change }]) }, clock, [path])
      .then(() => over = clock.now());
    for (let i = 0; i < 1000 && over === undefined; i++) await clock.advance(200);
    assertEquals(Math.round((over! - begin) / 1000), seconds, JSON.stringify(change));
  }
});

Deno.test("the next launch goes on as soon as the undo of the earlier one is over", async () => {
  const clock = new ManualClock();
  let others: readonly LaunchRecord[] = [{ ...FIRST, undoing: true }];
  let isOver = false;
  const waiting = afterUndo({ others: () => Promise.resolve(others) }, clock, ["/vm/a"])
    .then(() => isOver = true);
  await clock.advance(1000);
  assertEquals(isOver, false);
  others = [];
  await clock.advance(1000);
  await waiting;
});
