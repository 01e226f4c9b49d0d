import { type Clock, delay, withDeadline } from "../../io/mod.ts";
import { type QmpClient, queryMigrate } from "../../qmp/mod.ts";
import { inPostcopy } from "./status.ts";

/** How long QEMU before 8.2 has for it, ms. */
const SETTLE_MS = 1_000;

/**
 * Waits until a QEMU in `postcopy-paused` may resume. A thread of QEMU reads what the destination sends. Before 8.2
 * that thread may notice the broken stream after the new one has begun; it then closes the new one, and QEMU ends with
 * a segmentation fault (seen with 7.2 on a busy host). QEMU does not tell when the thread has noticed it.
 */
export async function untilMayResume(
  qmp: Pick<QmpClient, "atLeast">,
  clock: Clock,
  signal?: AbortSignal,
): Promise<void> {
  if (!qmp.atLeast(8, 2)) await delay(clock, SETTLE_MS, signal);
}

/** How long QEMU before 8.2 may take to begin post-copy before its stream is closed all the same, ms. */
const BEGIN_MS = 1_000;
/** Between two looks at its status, ms. */
const LOOK_MS = 50;

/** What {@link untilBegun} looks at. */
export interface Beginning {
  readonly qmp: QmpClient;
  readonly clock: Clock;
  /** Both ends have agreed on post-copy. */
  readonly record: { readonly postcopy?: unknown };
}

/**
 * Waits until a QEMU that may be about to begin post-copy has begun it, {@link BEGIN_MS} at most. Its stream may
 * be closed then. Before 8.2, a QEMU whose stream ends meanwhile reports `failed` (`postcopy failed to start`), and the
 * thread that reads the destination's answers may stay, and wait for a resume. The next migration waits for that thread
 * once its guest is paused and everything has crossed, for ever. Never rejects.
 */
export async function untilBegun({ qmp, clock, record }: Beginning): Promise<void> {
  if (!record.postcopy || qmp.atLeast(8, 2)) return;
  await withDeadline(clock, BEGIN_MS, "QEMU to begin post-copy", begun(qmp, clock)).catch(() => {});
}

async function begun(qmp: QmpClient, clock: Clock): Promise<void> {
  // QEMU has the status before it has the lock of its main loop, and begins with that lock: the answer after the
  // first one comes when it has begun.
  for (let answers = 0; answers < 2;) {
    const { status } = await queryMigrate(qmp);
    if (inPostcopy(status)) answers++;
    else if (status !== "pre-switchover") return;
    await delay(clock, LOOK_MS);
  }
}
