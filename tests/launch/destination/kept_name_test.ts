import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { keptName } from "../../../src/launch/destination/kept_name.ts";
import type { LaunchPlan } from "../../../src/launch/destination/plan.ts";

/** The name for a guest where this is kept under the plain one. */
async function nameFor(guest: { name: string; uuid: string | null }, kept: string) {
  const plan = { record: { name: "vm_1" }, params: { guest } } as unknown as LaunchPlan;
  const run = () => Promise.resolve({ code: 0, stdout: kept, stderr: "" });
  return await keptName({ run, stateDir: "/s" }, plan);
}

const kept = (name: string, uuid: string | null) => JSON.stringify({ guest: { name, uuid } });

Deno.test("a guest that comes again has its name again", async () => {
  const guest = { name: "vm 1", uuid: "a" };
  const found = ["", "{", "{}", kept("vm 1", "a"), kept("vm 1", null)];
  for (const text of found) assertEquals(await nameFor(guest, text), "vm_1", text);
});

Deno.test("a guest whose name looks the same gets a name of its own, always that one", async () => {
  const guest = { name: "vm/1", uuid: null };
  const name = await nameFor(guest, kept("vm 1", null));
  assertMatch(name, /^vm_1-[0-9a-f]{8}$/);
  assertEquals(await nameFor(guest, kept("vm:1", "b")), name);
  const other = await nameFor({ name: "vm 1", uuid: "b" }, kept("vm 1", "a"));
  assertNotEquals(other, "vm_1");
  assertNotEquals(other, name);
});
