import { abortable, type Clock } from "../io/mod.ts";
import type { QmpClient } from "./client.ts";

const GiB = 2 ** 30;
/** How many pages QEMU is to look at, about. */
const SAMPLES = 4096;
/** The fewest and the most pages of each GiB that QEMU can look at. */
const PER_GIB = { least: 128, most: 16_384 } as const;
/** How often vmferry asks for the result, ms. */
const POLL_MS = 100;

/**
 * Measures for a second how much RAM the guest changes: QEMU compares checksums of sampled pages (`calc-dirty-rate`).
 * A page counts once, however often it changes.
 *
 * @param ramBytes size of the guest's RAM.
 * @returns bytes per second, in whole MiB.
 * @throws {QmpCommandError} when QEMU refuses, for example because another measurement runs.
 * @throws the signal's reason; as `QmpClient.execute`.
 */
export async function measureDirtyRate(
  client: QmpClient,
  { ramBytes, clock, signal }: {
    readonly ramBytes: number;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  const pages = Math.round(SAMPLES / (ramBytes / GiB));
  await client.execute("calc-dirty-rate", {
    "calc-time": 1,
    "sample-pages": Math.min(PER_GIB.most, Math.max(PER_GIB.least, pages)),
  }, { signal });
  while (true) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(POLL_MS, resolve);
    try {
      await abortable(promise, signal);
    } finally {
      cancel();
    }
    const { status, "dirty-rate": rate } = await client.execute("query-dirty-rate", {}, { signal });
    if (status === "measured" && rate !== undefined) return rate * 1024 * 1024;
  }
}
