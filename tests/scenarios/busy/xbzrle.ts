import { systemClock, withDeadline } from "../../../src/io/mod.ts";
import type { RamProgress } from "../../../src/migrate/mod.ts";
import type { Scenario } from "../support/scenario.ts";
import { busy, BusyPair } from "./lab/busy_pair.ts";

/** What the guest changes, MiB per second, and of how much RAM: a word in each page. */
const GUEST = { mibPerSecond: 16, mib: 24 } as const;
/**
 * Each of the first two passes takes four seconds, in which the guest goes round its pages. The downtime is too short
 * for two pages, so that a third pass, with their changes, comes before the switchover.
 */
const SLOW = ["--bandwidth", "6M", "--max-downtime", "1", "--no-auto-converge"];

/** The most that a page takes of which a word has changed, bytes; a whole one takes 4096. */
const MOST_BYTES = 64;

/** A guest that changes a word in each page faster than whole pages cross. */
export const scenario: Scenario = {
  name: "xbzrle",
  about:
    "with --xbzrle only the changes of RAM pages cross, and the guest arrives with all of its RAM",
  timeoutMs: 240_000,
  long: true,
  async run(context) {
    const pair = await BusyPair.start(context, {
      ...{ name: "x", sector: busy(GUEST), memoryMiB: 96, gated: true },
    });
    await pair.running();
    // The last passes take milliseconds, and QEMU forgets their figures with the capability.
    const switchover = pair.gate!.hold("migrate-continue");
    const ferries = await pair.migrate("--xbzrle", "--xbzrle-cache", "64M", ...SLOW);
    await withDeadline(systemClock, 120_000, "the switchover", switchover.arrived);
    const { pages, bytes } = await crossedAsChanges(pair);
    switchover.release();
    if (pages === 0) throw new Error("No page crossed as its changes");
    if (bytes > pages * MOST_BYTES) throw new Error(`${pages} pages took ${bytes} bytes`);
    const { totalMs } = await pair.arrived(ferries, 60_000);
    const reported = ferries.migrate.events.entries.some((e) =>
      (e.ram as unknown as RamProgress | null | undefined)?.xbzrle !== undefined
    );
    if (!reported) throw new Error("No progress has the figures of xbzrle");
    const { parameters, capabilities } = await settingsOf(pair);
    if (capabilities.includes("xbzrle")) throw new Error("xbzrle was left on at the source");
    await pair.assertWhole();
    await pair.end();
    return `${Number(totalMs) / 1000} s, ${pages} pages as ${bytes} bytes; ` +
      `the cache has ${parameters["xbzrle-cache-size"]} bytes again`;
  },
};

async function crossedAsChanges({ source }: BusyPair): Promise<{ pages: number; bytes: number }> {
  const { "xbzrle-cache": cache } = await source.execute<
    { "xbzrle-cache": { pages: number; bytes: number } }
  >("query-migrate");
  return cache;
}

async function settingsOf({ source }: BusyPair) {
  const [parameters, all] = await Promise.all([
    source.execute<Record<string, unknown>>("query-migrate-parameters"),
    source.execute<{ capability: string; state: boolean }[]>("query-migrate-capabilities"),
  ]);
  return { parameters, capabilities: all.filter((c) => c.state).map((c) => c.capability) };
}
