import { delay, messageOf } from "../../io/mod.ts";
import { MIGRATION_OVER, QmpClosedError, waitMigration } from "../../qmp/mod.ts";
import { asMigrationError, MigrationError } from "../errors.ts";
import { PostcopyProgress } from "../progress/postcopy_progress.ts";
import { POSTCOPY_PAUSED, untilMayResume } from "../postcopy/mod.ts";
import { patience } from "../timeouts.ts";
import type { SourceContext } from "./context.ts";
import { linkDestination } from "./destination.ts";
import type { DestinationPeer } from "./destination_peer.ts";
import type { Ram } from "../ram/ram.ts";

/** How long QEMU may send nothing while the connection is up, ms. */
const STALL_MS = 120_000;
/** How long QEMU may take to connect again, ms. */
const RESUME_MS = 30_000;
/** Pause between two attempts to join both QEMUs, ms. */
const AGAIN_MS = 500;
/** Least time for which they are tried, ms. */
const TRY_AT_LEAST_MS = 10_000;

/**
 * Waits until the rest of RAM has crossed to a destination that runs the guest (post-copy). Joins both QEMUs
 * again where their stream broke: at first in another process, or with the destination's tool started again.
 *
 * A source's QEMU that ends meanwhile is reported to the destination.
 *
 * @throws {MigrationError} kind `unknown`, code `postcopy-paused`: the guest runs at the destination as far as
 * its RAM is there, until a next process joins both QEMUs.
 */
export async function followRam(context: SourceContext, ram: Ram): Promise<void> {
  const { state } = context;
  if (state.current === "handover") {
    await state.take("ram-left", { "report postcopy": () => context.phase("postcopy") });
  } else context.phase("postcopy");
  using _progress = new PostcopyProgress(context, ram);
  try {
    await untilCrossed(context, ram);
  } catch (error) {
    if (error instanceof QmpClosedError && await isWholeThere(context)) return;
    const { side } = asMigrationError(error, "source");
    throw new MigrationError("unknown", "postcopy-paused", side ?? "source", words(error), {
      cause: error,
    });
  }
}

/**
 * The source's QEMU has ended: the destination need not wait for it.
 *
 * @returns whether all of RAM had crossed before.
 */
export async function isWholeThere({ destination, log }: SourceContext): Promise<boolean> {
  try {
    return await destination?.peer?.ramLost() ?? false;
  } catch (error) {
    log.log("debug", `the destination does not know that QEMU has ended: ${messageOf(error)}`);
    return false;
  }
}

function words(error: unknown): string {
  return "The guest runs at the destination without a part of its RAM, which only the source's QEMU has, and " +
    `that does not cross: ${messageOf(error)}`;
}

async function untilCrossed(context: SourceContext, ram: Ram): Promise<void> {
  const { qmp, clock, graceMs, log } = context;
  const link = context.destination ?? linkDestination(context, undefined);
  link.renew();
  const tryMs = Math.max(TRY_AT_LEAST_MS, graceMs);
  let giveUpAt: number | null = null;
  while (true) {
    const { status, errorDesc } = await waitMigration(
      qmp,
      (status) => [...MIGRATION_OVER, POSTCOPY_PAUSED].includes(status),
      { ...patience(STALL_MS, () => link.peer?.session), clock },
    );
    if (status === "completed") return;
    if (status !== POSTCOPY_PAUSED) throw new Error(errorDesc ?? `QEMU's migration is "${status}"`);
    const until = giveUpAt ??= clock.now() + tryMs;
    let isWhole = false;
    try {
      await context.state.take("broken", {
        "call recover": async () =>
          isWhole = await link.withPeer((peer) => join(context, ram, peer)),
      });
      giveUpAt = null;
    } catch (error) {
      if (clock.now() >= until || link.peer?.session.state === "ended") throw error;
      log.log("info", `RAM does not cross again yet: ${messageOf(error)}`);
      await delay(clock, AGAIN_MS);
    }
    if (!isWhole) continue;
    // Nobody gives `cont` here: QEMU's migration is over, as the next user of this QEMU expects.
    return await ram.undo(true)
      .catch((error) => log.log("warning", `QEMU's migration is not over: ${messageOf(error)}`));
  }
}

/**
 * The destination's QEMU first: it waits for a stream only after `migrate-recover`.
 *
 * @returns whether it has all of RAM: only its last word on that was lost.
 */
async function join(context: SourceContext, ram: Ram, peer: DestinationPeer): Promise<boolean> {
  const { qmp, clock, qemu } = context;
  if (await peer.recover()) return true;
  await untilMayResume(qmp, clock);
  await qemu.resumeRam(ram, () => peer.openChannel("ram", undefined, "first"));
  let began = false;
  await waitMigration(
    qmp,
    (status) => {
      began ||= status !== POSTCOPY_PAUSED;
      return began && !status.startsWith("postcopy-recover");
    },
    { stallMs: RESUME_MS, clock },
  );
  return false;
}
