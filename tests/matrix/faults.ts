/**
 * What happens to a migration.
 *
 * @module
 */
import { runVmferry } from "../scenarios/support/vmferry.ts";
import type { Phase } from "./phases.ts";
import type { Run } from "./run.ts";

export interface Fault {
  readonly name: string;
  /** Options of both tools. */
  readonly options?: readonly string[];
  readonly network?: true;
  readonly small?: true;
  /** Which tool it kills, to be started again by its user. */
  readonly kills?: "migrate" | "receive";
  /** Which QEMU it kills. */
  readonly ends?: "source" | "destination";
  /** Whether it makes sense in a phase. */
  applies?(phase: Phase): boolean;
  /** It costs time, nothing else: the migration must succeed. */
  readonly harmless?: true;
  apply(run: Run): Promise<void>;
  /** What the host's administrator does before the next try. */
  repair?(run: Run): Promise<void>;
}

/** Impatient, so that giving up does not take a minute. */
const IMPATIENT = ["--grace", "4", "--dead-after", "2"];
const STOPPED_MS = 10_000;
const SHORT_CUT_MS = 1_500;

export const FAULTS: readonly Fault[] = [
  {
    name: "kill -9 source tool",
    kills: "migrate",
    apply: async ({ migrate }) => await killed(migrate),
  },
  {
    name: "kill -9 destination tool",
    kills: "receive",
    apply: async ({ receive }) => await killed(receive),
  },
  {
    name: "kill -9 source QEMU",
    ends: "source",
    apply: async ({ pair }) => await pair.source.crash(),
  },
  {
    name: "kill -9 destination QEMU",
    ends: "destination",
    apply: async ({ pair }) => await pair.destination.crash(),
  },
  {
    name: "SIGTERM source tool",
    apply: ({ migrate }) => Promise.resolve(migrate.signal("SIGTERM")),
  },
  {
    name: "SIGTERM destination tool",
    apply: ({ receive }) => Promise.resolve(receive.signal("SIGTERM")),
  },
  {
    name: "SIGSTOP source tool 10 s",
    harmless: true,
    apply: async ({ migrate }) => await stopped(migrate),
  },
  {
    name: "SIGSTOP destination tool 10 s",
    harmless: true,
    apply: async ({ receive }) => await stopped(receive),
  },
  {
    name: "link cut short",
    ...{ network: true, harmless: true },
    async apply({ network }) {
      await network!.cut();
      await new Promise((resolve) => setTimeout(resolve, SHORT_CUT_MS));
      await network!.restore();
    },
  },
  {
    name: "link cut for good",
    ...{ network: true, options: IMPATIENT },
    apply: async ({ network }) => await network!.cut(),
    repair: async ({ network }) => await network!.restore(),
  },
  {
    name: "ENOSPC at the destination",
    small: true,
    // Later the disks are the running guest's, and a full one its administrator's to mend.
    applies: ({ handedOver }) => !handedOver,
    async apply({ small }) {
      using file = await Deno.open(`${small}/filler`, { write: true, create: true });
      const chunk = new Uint8Array(65536);
      try {
        while (true) await file.write(chunk);
      } catch { /* full */ }
    },
    repair: async ({ small }) => await Deno.remove(`${small}/filler`),
  },
  {
    name: "cancel",
    async apply({ pair }) {
      // It waits for the end, which may wait for what is held here.
      runVmferry(["cancel", "--run-dir", pair.runDir("source")], 60_000).catch(() => {});
      await Promise.resolve();
    },
  },
];

async function killed(ferry: Run["migrate"]): Promise<void> {
  ferry.signal("SIGKILL");
  await ferry.exit();
}

async function stopped(ferry: Run["migrate"]): Promise<void> {
  ferry.signal("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, STOPPED_MS));
  ferry.signal("SIGCONT");
}
