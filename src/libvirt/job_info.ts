/**
 * The progress of a domain's job, as `virsh domjobinfo` prints it.
 *
 * @module
 */
import { scaledBytes } from "./xml.ts";

/** A job's state (virDomainJobType). `other`: one that later versions may have. */
export type JobType =
  | "none"
  | "bounded"
  | "unbounded"
  | "completed"
  | "failed"
  | "cancelled"
  | "other";

/** A job of a domain. Numbers are `null` where libvirt does not know them (yet). */
export interface JobInfo {
  /** `none`: nothing runs. A migration is `unbounded`, and `bounded` in some versions. */
  readonly type: JobType;
  /** What it does; `null` where libvirt does not say. `other`: a save, a dump, a backup and so on. */
  readonly operation: "migration-in" | "migration-out" | "other" | null;
  /** Since its start, ms. */
  readonly elapsedMs: number | null;
  /** Bytes of RAM and disks together: in all, done, to do. */
  readonly dataTotal: number | null;
  /** See `dataTotal`. */
  readonly dataProcessed: number | null;
  /** See `dataTotal`. */
  readonly dataRemaining: number | null;
  /** Bytes of RAM; absent as long as only disks are copied. */
  readonly memoryTotal: number | null;
  /** See `memoryTotal`; more than `memoryTotal` when pages are sent again. */
  readonly memoryProcessed: number | null;
  /** See `memoryTotal`. */
  readonly memoryRemaining: number | null;
  /** Bytes a second of RAM. */
  readonly memoryBps: number | null;
  /** Pages that the guest writes in a second. */
  readonly dirtyPagesPerSecond: number | null;
  /** Bytes of a page. */
  readonly pageSize: number | null;
  /** Which pass over the RAM this is; the first is 1. */
  readonly iteration: number | null;
  /** Pages that the destination's QEMU has requested in post-copy. */
  readonly postcopyRequests: number | null;
  /** Bytes of the disks. */
  readonly diskTotal: number | null;
  /** See `diskTotal`. */
  readonly diskProcessed: number | null;
  /** See `diskTotal`. */
  readonly diskRemaining: number | null;
  /** Bytes a second of the disks. */
  readonly diskBps: number | null;
  /** The downtime that QEMU expects, or that there was. */
  readonly downtimeMs: number | null;
}

const TYPES: readonly JobType[] = [
  "none",
  "bounded",
  "unbounded",
  "completed",
  "failed",
  "cancelled",
];

type Operation = NonNullable<JobInfo["operation"]>;

/** virDomainJobOperation. */
const OPERATIONS: Readonly<Record<number, Operation>> = { 4: "migration-in", 5: "migration-out" };

/** The same in the table of the C locale. */
const OPERATION_NAMES: Readonly<Record<string, Operation>> = {
  "Incoming migration": "migration-in",
  "Outgoing migration": "migration-out",
};

/**
 * Parses `virsh domjobinfo --rawstats`: libvirt's numbers under the names of its typed parameters
 * (VIR_DOMAIN_JOB_*). Unknown names are skipped.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const info = parseRawJobInfo("Job type: 2\n\ntime_elapsed: 1200\ndisk_total: 4096\n");
 * assertEquals([info.type, info.elapsedMs, info.diskTotal, info.memoryTotal], ["unbounded", 1200, 4096, null]);
 * ```
 */
export function parseRawJobInfo(text: string): JobInfo {
  const values = pairs(text);
  const number = (name: string) => integer(values.get(name));
  const type = number("Job type");
  const operation = number("operation");
  return {
    type: type === null ? "none" : TYPES[type] ?? "other",
    operation: operation === null ? null : OPERATIONS[operation] ?? "other",
    elapsedMs: number("time_elapsed"),
    dataTotal: number("data_total"),
    dataProcessed: number("data_processed"),
    dataRemaining: number("data_remaining"),
    memoryTotal: number("memory_total"),
    memoryProcessed: number("memory_processed"),
    memoryRemaining: number("memory_remaining"),
    memoryBps: number("memory_bps"),
    dirtyPagesPerSecond: number("memory_dirty_rate"),
    pageSize: number("memory_page_size"),
    iteration: number("memory_iteration"),
    postcopyRequests: number("memory_postcopy_requests"),
    diskTotal: number("disk_total"),
    diskProcessed: number("disk_processed"),
    diskRemaining: number("disk_remaining"),
    diskBps: number("disk_bps"),
    downtimeMs: number("downtime"),
  };
}

/** Parses `virsh domjobinfo` without `--rawstats`, in the C locale. Sizes are rounded to 1/1000 of their unit. */
export function parseJobInfo(text: string): JobInfo {
  const values = pairs(text);
  const size = (name: string) => {
    const [number = "", unit = ""] = values.get(name)?.split(/\s+/) ?? [];
    return scaledBytes(number, unit.replace(/\/s$/, ""));
  };
  const number = (name: string) => integer(values.get(name)?.split(/\s+/)[0]);
  const type = (values.get("Job type") ?? "None").toLowerCase() as JobType;
  const operation = values.get("Operation");
  return {
    type: TYPES.includes(type) ? type : "other",
    operation: operation === undefined ? null : OPERATION_NAMES[operation] ?? "other",
    elapsedMs: number("Time elapsed"),
    dataTotal: size("Data total"),
    dataProcessed: size("Data processed"),
    dataRemaining: size("Data remaining"),
    memoryTotal: size("Memory total"),
    memoryProcessed: size("Memory processed"),
    memoryRemaining: size("Memory remaining"),
    memoryBps: size("Memory bandwidth"),
    dirtyPagesPerSecond: number("Dirty rate"),
    pageSize: size("Page size"),
    iteration: number("Iteration"),
    postcopyRequests: number("Postcopy requests"),
    diskTotal: size("File total"),
    diskProcessed: size("File processed"),
    diskRemaining: size("File remaining"),
    diskBps: size("File bandwidth"),
    downtimeMs: number("Expected downtime") ?? number("Total downtime"),
  };
}

/** Lines `name: value`. */
export function pairs(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) found.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return found;
}

function integer(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
}
