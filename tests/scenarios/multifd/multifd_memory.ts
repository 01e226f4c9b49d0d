import { accelerators, MemoryCrossings } from "../pair/memory_crossings.ts";
import type { Scenario } from "../support/scenario.ts";

/** Crossings with each accelerator. */
const CROSSINGS = Number(Deno.env.get("VMFERRY_CROSSINGS") ?? 2);

/** RAM that changes all the time: pages of several passes arrive by several streams. */
export const scenario: Scenario = {
  name: "multifd_memory",
  about:
    "no page of a guest that never stops changing RAM is lost or old when RAM has five streams",
  timeoutMs: 120_000 + CROSSINGS * 60_000,
  long: true,
  async run(context) {
    const lines: string[] = [];
    for (const accel of accelerators()) {
      const crossings = await MemoryCrossings.start(context, accel, ["--multifd", "4"]);
      for (let n = 1; n <= CROSSINGS; n++) await crossings.cross();
      lines.push(`${accel} ${await crossings.end()}`);
    }
    return lines.join("; ");
  },
};
