/**
 * What a migration with `--multifd` leaves in both QEMUs.
 *
 * @module
 */
import type { Qemu } from "../support/qemu.ts";
import type { Pair } from "./pair.ts";

/** The settings of one QEMU that multifd needs. */
export async function multifdOf(qemu: Qemu): Promise<string> {
  const [capabilities, parameters] = await Promise.all([
    qemu.execute<{ capability: string; state: boolean }[]>("query-migrate-capabilities"),
    qemu.execute<Record<string, unknown>>("query-migrate-parameters"),
  ]);
  const names = ["multifd", "xbzrle"];
  const on = capabilities.filter(({ capability, state }) => state && names.includes(capability));
  return JSON.stringify([
    on.map(({ capability }) => capability),
    ...["multifd-channels", "multifd-compression", "zero-page-detection"].map((n) => parameters[n]),
  ]);
}

/** Remembers the settings of both QEMUs, to compare them later. */
export async function settingsBefore(pair: Pair): Promise<() => Promise<void>> {
  // The destination's QEMU may be another one by then.
  const both = () => [pair.source, pair.destination];
  const before = await Promise.all(both().map(multifdOf));
  return async () => {
    for (const [i, qemu] of both().entries()) {
      const after = await multifdOf(qemu);
      if (after !== before[i]) throw new Error(`${qemu.name} has ${after}, expected ${before[i]}`);
    }
  };
}

/** Bytes that crossed beside the main stream. Throws when there are none. */
export async function multifdBytes(qemu: Qemu): Promise<number> {
  const { ram } = await qemu.execute<{ ram?: Record<string, number> }>("query-migrate");
  const bytes = ram?.["multifd-bytes"] ?? 0;
  if (bytes === 0) throw new Error("RAM crossed in one stream");
  return bytes;
}
