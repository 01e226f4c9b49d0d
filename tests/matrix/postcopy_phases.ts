/**
 * The phases of a migration that goes on by post-copy: most of RAM crosses after the guest, in some seconds.
 *
 * @module
 */
import { poll } from "../scenarios/support/waiting.ts";
import type { Phase } from "./phases.ts";
import { atFullSpeed, holding, setBandwidth } from "./run.ts";

const BOTH = ["migrate", "receive"] as const;
/** Of {@link MEMORY_MIB} a tenth has crossed when the guest is paused. The limit counts compressed bytes. */
const OPTIONS = ["--postcopy-after", "1", "--bandwidth", "8M", "--compress", "off"];
/** When the end is near, bytes of RAM. */
const LATE_BYTES = 16 * 1024 * 1024;

/** Size of the guest's RAM in these phases; most of it is in use. */
export const MEMORY_MIB = 96;

export const POSTCOPY_PHASES: readonly Phase[] = [
  {
    name: "postcopy, switch",
    ...{ options: OPTIONS, postcopy: true, handedOver: false, resumable: [] },
    arm: (pair) => holding(pair, "source", "block-job-cancel"),
  },
  {
    name: "postcopy, device",
    ...{ options: OPTIONS, postcopy: true, handedOver: false, resumable: [] },
    arm(pair) {
      const held = pair.gates.source.hold("migrate-continue");
      return {
        async reached() {
          await held.arrived;
          // So slow that the device state does not get through.
          await setBandwidth(pair, "64");
          held.release();
          await poll("the switchover", async () => {
            const { status } = await pair.source.execute<{ status?: string }>("query-migrate");
            return status !== "pre-switchover" || undefined;
          });
        },
        release: atFullSpeed,
      };
    },
  },
  {
    name: "postcopy, finish sent",
    ...{ options: OPTIONS, postcopy: true, handedOver: true, resumable: BOTH },
    arm: (pair) => holding(pair, "destination", "cont"),
  },
  {
    name: "postcopy, early",
    ...{ options: OPTIONS, postcopy: true, handedOver: true, resumable: BOTH },
    arm: () => ({
      async reached({ migrate, receive }) {
        await migrate.waitEvent("phase", (e) => e.phase === "postcopy");
        await receive.waitEvent("phase", (e) => e.phase === "postcopy");
      },
      release: () => Promise.resolve(),
    }),
  },
  {
    name: "postcopy, late",
    ...{ options: OPTIONS, postcopy: true, handedOver: true, resumable: BOTH },
    arm: () => ({
      async reached({ migrate }) {
        await migrate.waitEvent("progress", (e) => {
          const ram = e.ram as { remaining: number } | null;
          return e.phase === "postcopy" && ram !== null && ram.remaining < LATE_BYTES;
        });
      },
      release: () => Promise.resolve(),
    }),
  },
];
