import { accelerators, MemoryCrossings } from "../pair/memory_crossings.ts";
import type { Scenario } from "../support/scenario.ts";

/** Crossings with each accelerator: `make memory CROSSINGS=50` for many. */
const CROSSINGS = Number(Deno.env.get("VMFERRY_CROSSINGS") ?? 2);

/** RAM that changes all the time. */
export const scenario: Scenario = {
  name: "memory",
  about: "two vCPUs that never stop changing RAM find each page as they left it, with KVM and TCG",
  timeoutMs: 120_000 + CROSSINGS * 60_000,
  async run(context) {
    const lines: string[] = [];
    for (const accel of accelerators()) {
      const crossings = await MemoryCrossings.start(context, accel);
      for (let n = 1; n <= CROSSINGS; n++) await crossings.cross();
      lines.push(`${accel} ${await crossings.end()}`);
    }
    return lines.join("; ");
  },
};
