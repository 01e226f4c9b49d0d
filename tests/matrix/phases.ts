/**
 * Where a migration is when something happens to it. Each place is reached by waiting for what makes
 * it that place: an event, or a command that is kept from QEMU.
 *
 * @module
 */
import type { Pair } from "../scenarios/pair/pair.ts";
import type { JsonEvent } from "../scenarios/support/vmferry.ts";
import { POSTCOPY_PHASES } from "./postcopy_phases.ts";
import { type Armed, atFullSpeed, holding, setBandwidth } from "./run.ts";

export interface Phase {
  readonly name: string;
  /** Options of `migrate`. */
  readonly options: readonly string[];
  /** `finish` may have been sent: the guest may be the destination's. */
  readonly handedOver: boolean;
  /** RAM crosses by post-copy, and takes some seconds. */
  readonly postcopy?: true;
  /** Which tool can be killed here, started again with --resume, and goes on. */
  readonly resumable: readonly ("migrate" | "receive")[];
  /** To be called before `migrate` is started. */
  arm(pair: Pair): Armed;
}

const BOTH = ["migrate", "receive"] as const;

export const PHASES: readonly Phase[] = [
  {
    name: "prepare",
    ...{ options: [], handedOver: false, resumable: ["migrate"] },
    // Its first command that the comparison before it does not give too.
    arm: (pair) => holding(pair, "destination", "migrate-set-capabilities"),
  },
  {
    name: "probe",
    // So slow that the probe's few bytes don't get through.
    options: ["--bandwidth", "64"],
    ...{ handedOver: false, resumable: ["migrate"] },
    arm: () => ({
      async reached({ receive, migrate }) {
        await receive.waitEvent("phase", (e) => e.phase === "mirror");
        if (migrate.events.entries.some((e) => e.phase === "mirror")) {
          throw new Error("The probe was over before anything could happen to it");
        }
      },
      release: atFullSpeed,
    }),
  },
  {
    name: "mirror, early",
    options: ["--bandwidth", "4M"],
    ...{ handedOver: false, resumable: BOTH },
    arm: (pair) => mirrored(pair, 0.01, 0.6),
  },
  {
    name: "mirror, late",
    options: ["--bandwidth", "10M"],
    ...{ handedOver: false, resumable: BOTH },
    arm: (pair) => mirrored(pair, 0.7, 1),
  },
  {
    name: "ready",
    ...{ options: [], handedOver: false, resumable: BOTH },
    arm: (pair) => holding(pair, "source", "query-migrate-capabilities"),
  },
  {
    name: "ram",
    ...{ options: [], handedOver: false, resumable: [] },
    arm(pair) {
      const held = pair.gates.source.hold("migrate");
      return {
        async reached({ pair, migrate }) {
          await held.arrived;
          await setBandwidth(pair, "1M");
          held.release();
          await migrate.waitEvent("progress", (e) => {
            const ram = e.ram as { transferred: number } | null;
            return ram !== null && ram.transferred > 0;
          });
        },
        release: atFullSpeed,
      };
    },
  },
  {
    name: "pre-switchover",
    ...{ options: [], handedOver: false, resumable: [] },
    arm: (pair) => holding(pair, "source", "block-job-cancel"),
  },
  {
    name: "cancel - continue",
    ...{ options: [], handedOver: false, resumable: [] },
    arm: (pair) => holding(pair, "source", "migrate-continue"),
  },
  {
    name: "finish sent",
    ...{ options: [], handedOver: true, resumable: BOTH },
    arm: (pair) => holding(pair, "destination", "cont"),
  },
  {
    name: "guest runs",
    ...{ options: [], handedOver: true, resumable: BOTH },
    arm(pair) {
      const { destination } = pair.gates;
      const cont = destination.hold("cont");
      const answer = cont.arrived.then(() => destination.hold("query-status"));
      return {
        async reached({ pair }) {
          await answer;
          cont.release();
          await pair.destination.events.waitFor("RESUME", (e) => e.event === "RESUME");
          await (await answer).arrived;
        },
        release: async () => (await answer).release(),
      };
    },
  },
  {
    name: "source ends",
    ...{ options: [], handedOver: true, resumable: BOTH },
    arm: (pair) => holding(pair, "source", "job-dismiss"),
  },
  ...POSTCOPY_PHASES,
];

/** Between two shares of the disks. RAM does not begin to cross, however late that is seen. */
function mirrored(pair: Pair, least: number, most: number): Armed {
  const held = pair.gates.source.hold("query-migrate-capabilities");
  return {
    async reached({ migrate }) {
      const share = shareOf(await migrate.waitEvent("progress", (e) => shareOf(e) >= least));
      if (share > most) throw new Error(`The disks were at ${share} before they were at ${most}`);
    },
    async release(run) {
      held.release();
      await atFullSpeed(run);
    },
  };
}

function shareOf(event: JsonEvent): number {
  const disks = event.disks as { transferred: number; total: number }[];
  const sum = (of: (disk: typeof disks[number]) => number) =>
    disks.reduce((total, disk) => total + of(disk), 0);
  return sum((d) => d.transferred) / sum((d) => d.total);
}
