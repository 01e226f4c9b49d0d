import type { Network } from "../scenarios/support/network.ts";
import type { Pair } from "../scenarios/pair/pair.ts";
import { runVmferry, type Vmferry } from "../scenarios/support/vmferry.ts";

/** One migration that something is going to happen to. */
export interface Run {
  readonly pair: Pair;
  readonly network: Network | undefined;
  /** Where images of the destination are, on a small file system of their own; ENOSPC only. */
  readonly small: string | undefined;
  receive: Vmferry;
  migrate: Vmferry;
}

/** A place that a migration is going to be held at. */
export interface Armed {
  /** Resolves when it is there. */
  reached(run: Run): Promise<void>;
  /** Ends the hold, so that the migration continues. */
  release(run: Run): Promise<void>;
}

/** Holds a migration where it gives a command to the QEMU of one side. */
export function holding(pair: Pair, side: "source" | "destination", command: string): Armed {
  const held = pair.gates[side].hold(command);
  return {
    reached: () => held.arrived,
    release: () => Promise.resolve(held.release()),
  };
}

/** Lifts the bandwidth of a migration that still runs; one that has ended does not mind. */
export async function atFullSpeed({ pair }: Run): Promise<void> {
  await setBandwidth(pair, "none");
}

/** Sets the bandwidth of the running migration. */
export async function setBandwidth(pair: Pair, bandwidth: string): Promise<void> {
  await runVmferry(["set", "--run-dir", pair.runDir("source"), `bandwidth=${bandwidth}`]);
}
