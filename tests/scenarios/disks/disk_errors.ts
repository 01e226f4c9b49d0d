import { assertTold, BUSY, type Told, whileMirroring } from "../support/failing.ts";
import { Pair } from "../pair/pair.ts";
import { MiB, type PairDisk } from "../pair/pair_options.ts";
import type { Scenario } from "../support/scenario.ts";

/** Past the ring: only the mirror accesses it. */
const BEHIND = 20 * MiB / 512;
/** In the ring: the guest gets there while the disks are copied, which takes 24 s, also where it is slow. */
const AHEAD = 2048 + 1000;
const RAW = { from: "raw", to: "raw" } as const;

const CASES: readonly {
  readonly what: string;
  readonly disks: readonly PairDisk[];
  readonly told: Told;
  /** The guest is paused until its disks are copied, and ends in this state. */
  readonly status?: string;
}[] = [
  {
    what: "a sector of the destination's disk can't be written",
    disks: [RAW, { ...RAW, brokenTo: { sector: BEHIND, iotype: "write" } }],
    told: {
      ...{ side: "destination", code: "disk-write-failed", next: /storage under that disk/ },
      message: /^Input\/output error while writing disk vd1$/,
    },
  },
  {
    what: "a sector of the source's disk can't be read",
    disks: [RAW, { ...RAW, brokenFrom: { sector: BEHIND, iotype: "read" } }],
    told: {
      ...{ side: "source", code: "disk-read-failed", next: /--disk/ },
      message: /^Input\/output error while reading disk vd1$/,
    },
  },
  {
    what: "the guest can't write to its disk and is stopped by that",
    disks: [RAW, { ...RAW, brokenFrom: { sector: AHEAD, iotype: "write", stops: true } }],
    told: {
      ...{ side: "source", code: "guest-io-error", next: /'cont'/ },
      message: /^The guest could not write to disk vd1: Input\/output error; QEMU paused it$/,
    },
    status: "io-error",
  },
];

/** Broken media on either side. */
export const scenario: Scenario = {
  name: "disk_errors",
  about: "an I/O error of a disk is reported with its side and disk, and harms nothing else",
  timeoutMs: 300_000,
  long: true,
  async run(context) {
    for (const [i, { what, disks, told, status }] of CASES.entries()) {
      context.note(what);
      const dir = `${context.dir}/${i}`;
      await Deno.mkdir(dir);
      const paused = status !== undefined;
      const pair = await Pair.start(context, { dir, disks, bytes: 24 * MiB, guest: BUSY, paused });
      const standing = await whileMirroring(pair, ["--bandwidth", "2M"]);
      if (paused) await pair.source.execute("cont");
      await assertTold(context, standing, told);
      // On a busy machine this guest may reach its sector only when RAM crosses already, and QEMU 7.2
      // ends when a migration that has begun is cut off. The destination's events show that.
      const { entries } = standing.receive.events;
      const destinationGone = entries.some((e) => e.event === "phase" && e.phase === "ram");
      await pair.assertStillAtSource({ destinationGone, ...(paused ? { status } : {}) });
    }
  },
};
