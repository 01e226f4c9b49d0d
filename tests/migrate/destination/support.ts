import { type Clock, systemClock } from "../../../src/io/mod.ts";
import { firstRecord } from "../../../src/migrate/journal.ts";
import type { DestinationPeer } from "../../../src/migrate/source/destination_peer.ts";
import {
  DISK,
  fakeDestination,
  type FakeDestinationOptions,
  GUEST,
  type WaitingQemu,
} from "../../support/fake_destination.ts";
import type { Commands } from "../../support/fake_qemu.ts";
import type { ManualClock } from "../../support/manual_clock.ts";

export type FakeDestination = Awaited<ReturnType<typeof fakeDestination>>;

/** A signal that is never aborted. */
export const never = new AbortController().signal;

export const announced = (migration: string) => ({
  ...{
    migration,
    guest: GUEST,
    disks: [DISK],
    shared: null,
    encrypted: null,
    multifd: null,
    postcopy: null,
    checkOnly: false,
  },
});

export const cancelled = (reason: string) => ({
  ...{ reason, cancelled: true, code: "cancelled", side: "source" as const },
});

/** The journal of a destination whose process was killed while QEMU started the guest. */
export const STARTING = {
  ...firstRecord({ migration: "one", qmp: "/qmp", listen: "tcp://x:1" }),
  state: "starting" as const,
  incomingStarted: true,
  run: true,
};

/** Lets what is under way over pipes in memory go on for a while. */
export async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Lets everything under way go on until `is` holds. */
export async function until(what: string, is: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (is()) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  throw new Error(`it did not come to this: ${what}`);
}

/** Moves the clock on by `seconds`, in steps in which everything under way goes on. */
export async function pass(clock: ManualClock, seconds: number): Promise<void> {
  for (let s = 0; s < seconds; s += 10) {
    await clock.advance(Math.min(10, seconds - s) * 1000);
    await turns();
  }
}

/** QEMU's events. */
export async function say(qemu: WaitingQemu, event: string, data: unknown = {}): Promise<void> {
  await qemu.fake.say({ event, data, timestamp: { seconds: 1, microseconds: 0 } });
}

export interface LoadedOptions extends FakeDestinationOptions {
  readonly clock?: Clock;
  readonly commands?: Commands;
}

/** A destination that has loaded the guest of migration "one", with the source that sent it. */
export async function loaded(
  { clock = systemClock, commands = {}, ...options }: LoadedOptions = {},
): Promise<FakeDestination & { one: DestinationPeer }> {
  const destination = await fakeDestination(clock, {
    "migrate-incoming": () => ({ return: {} }),
    "cont": () => {
      destination.qemu.status = "running";
      return { return: {} };
    },
    ...commands,
  }, options);
  const { qemu } = destination;
  const one = await destination.source();
  await one.prepare(announced("one"), never);
  await one.openChannel("ram");
  const loading = one.load(never);
  await until("the NBD server is stopped", () => qemu.count("nbd-server-stop") > 0);
  qemu.migration = "completed";
  await say(qemu, "MIGRATION", { status: "completed" });
  await loading;
  return { ...destination, one };
}
