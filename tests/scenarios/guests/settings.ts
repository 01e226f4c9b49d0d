import { messageOf } from "../../../src/io/mod.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, assertNone, type Scenario, ScenarioContext } from "../support/scenario.ts";
import { LEFT_CAPABILITIES, LEFT_PARAMETERS, type LeftSetting, setting } from "../pair/settings.ts";

/** Each setting alone: one may hide the effect of another. */
export const scenario: Scenario = {
  name: "settings",
  about: "each leftover migration setting, on each side in turn, changes nothing and is restored",
  timeoutMs: 3_600_000,
  long: true,
  async run(context) {
    const faults: string[] = [];
    let crossings = 0;
    const only = Deno.env.get("SETTINGS")?.split(",");
    for (const left of [...LEFT_CAPABILITIES, ...LEFT_PARAMETERS]) {
      if (only && !only.includes(left.name)) continue;
      for (const side of ["source", "destination"] as const) {
        context.signal.throwIfAborted();
        const start = performance.now();
        let outcome: string;
        try {
          outcome = await cross(context, left, side);
          if (outcome === "crosses") crossings++;
        } catch (error) {
          outcome = `FAILS: ${messageOf(error)}`;
          faults.push(`${left.name} at the ${side}: ${messageOf(error)}`);
        }
        const seconds = ((performance.now() - start) / 1000).toFixed(1);
        console.log(`     ${left.name.padEnd(28)} ${side.padEnd(12)} ${seconds} s  ${outcome}`);
      }
    }
    assertNone(faults);
    return `${crossings} crossings`;
  },
};

/** A crossing with QEMUs of its own. */
async function cross(
  { dir, signal }: ScenarioContext,
  left: LeftSetting,
  side: "source" | "destination",
): Promise<string> {
  const own = `${dir}/one`;
  await Deno.mkdir(own);
  await using context = new ScenarioContext(own, signal);
  try {
    const pair = await Pair.start(context, {
      ...{ bytes: 8 << 20, memoryMiB: 32, disks: [{ from: "raw", to: "raw" }] },
    });
    const bitmap = { node: "source-vd0", name: "monday" };
    await pair.source.execute("block-dirty-bitmap-add", bitmap);
    const settings = setting(pair[side]);
    const refusal = await settings.leave([left]);
    if (refusal) return refusal;
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await assertExit(migrate, 0, 30_000);
    await assertExit(receive, 0);
    await settings.assertLeft([left]);
    await settings.clear([left]);
    await pair.assertArrived();
    return "crosses";
  } finally {
    await context[Symbol.asyncDispose]();
    await Deno.remove(own, { recursive: true });
  }
}
