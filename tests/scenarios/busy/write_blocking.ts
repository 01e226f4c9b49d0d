import { checkWriter, writerSector, writerState } from "../guest/mod.ts";
import type { Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { BusyPair } from "./lab/busy_pair.ts";

/** The guest writes more than crosses. */
const WRITER = { mibPerSecond: 8, mib: 16 } as const;
const BANDWIDTH = ["--bandwidth", "2M"];
/** Blocks that the guest has written before it moves. */
const BEFORE = 30;

/** Mirrors whose guest's writes wait for the destination from the start. */
export const scenario: Scenario = {
  name: "write_blocking",
  about: "a guest that writes faster than the copy crosses arrives with --copy-mode write-blocking",
  timeoutMs: 300_000,
  long: true,
  async run(context) {
    const pair = await BusyPair.start(context, {
      ...{ name: "writer", sector: writerSector(WRITER), memoryMiB: 48, accel: "tcg" },
    });
    await poll("the guest to write", async () => {
      const { written } = await writerState((address) => pair.source.peek(address));
      return written >= BEFORE && written < 1e6 ? written : undefined;
    }, 120_000);
    const ferries = await pair.migrate(...BANDWIDTH, "--copy-mode", "write-blocking");
    const waits = await ferries.migrate.waitEvent("progress", (e) => {
      const [disk] = e.disks as { copyMode?: string; writeMs?: number }[];
      return disk?.copyMode === "write-blocking" && disk.writeMs !== undefined;
    });
    const { totalMs } = await pair.arrived(ferries, 240_000);
    const warnings = ferries.migrate.events.entries.filter((e) => e.event === "warning");
    if (warnings.some((e) => String(e.code).startsWith("mirror-"))) {
      throw new Error(`The mirror fell behind: ${JSON.stringify(warnings)}`);
    }
    const peek = (address: number) => pair.destination.peek(address);
    const { written } = await writerState(peek);
    await pair.end();
    const lost = checkWriter(await Deno.readFile(`${pair.dir}/dest.raw`), WRITER);
    if (lost.length > 0) throw new Error(lost.slice(0, 5).join("\n"));
    const [{ writeMs }] = waits.disks as [{ writeMs: number }];
    return `${Number(totalMs) / 1000} s, ${written} blocks written, ${writeMs.toFixed(1)} ms each`;
  },
};
