import { type Clock, type Logger, messageOf, withDeadline } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";

/** QEMU's own values for a guest that has arrived (migration parameters announce-*), ms. */
const ROUNDS = { initial: 50, max: 550, rounds: 5, step: 100 } as const;
/** How long QEMU may take to begin, ms. */
const ANNOUNCE_MS = 5_000;

/**
 * Has QEMU announce the NICs of a guest that runs (`announce-self`, QEMU 4.0): five RARPs for each NIC, over
 * 0.8 s, and the guest's own announcement where its driver offers that (virtio-net).
 *
 * The destination's QEMU does so by itself once it has loaded the guest, but the guest is paused then: its
 * driver cannot answer, and the packets wait in the NIC's queue until the guest runs (7.2 to 11.1).
 * Never rejects: the guest runs, and its next packet teaches the switches too.
 */
export async function announce(qmp: QmpClient, clock: Clock, log: Logger): Promise<void> {
  if (!qmp.hasCommand("announce-self")) return;
  try {
    const announcing = qmp.execute("announce-self", ROUNDS);
    await withDeadline(clock, ANNOUNCE_MS, "QEMU to announce the NICs", announcing);
  } catch (error) {
    log.log("debug", `announce-self: ${messageOf(error)}`);
  }
}
