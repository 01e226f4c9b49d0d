/**
 * Whether a guest that is not active here any more has run here since its migration.
 *
 * @module
 */
import { lookAt } from "../../host/mod.ts";
import { type DestinationHost } from "./host.ts";
import type { DomainRecord } from "./record.ts";

/** File systems keep times in seconds, and a QEMU that fails at its start may write a header, ms. */
const MARGIN_MS = 2_000;

/**
 * `true` when libvirt had the guest here, or its images were written to after libvirt was asked to start
 * it: until then the source's QEMU is the only one that writes to them, and it is paused.
 */
export async function hasRun(
  host: Pick<DestinationHost, "run">,
  record: DomainRecord,
): Promise<boolean> {
  const { mayHaveRun, state, askedAt, paths = [] } = record;
  if (!mayHaveRun) return false;
  if (state === "migrated") return true;
  if (askedAt === undefined) return false;
  const looks = await lookAt(host.run, paths);
  return looks.some(({ changedAt }) => changedAt !== null && changedAt > askedAt + MARGIN_MS);
}
