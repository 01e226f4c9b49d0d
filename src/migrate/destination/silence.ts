import { afterStall, type Clock } from "../../io/mod.ts";
import { type QmpClient, QmpTimeoutError } from "../../qmp/mod.ts";

/** How long QEMU may answer nothing while no byte of RAM arrives, ms. */
const SILENT_MS = 5_000;

/** What the journal keeps of a QEMU that answers nothing, as what could not be undone. */
export const SILENT = "QEMU answers no QMP command";

/** The message about a QEMU that answers nothing; `qmpPath` names it. */
export function silentMessage(qmpPath: string): string {
  return `The destination's QEMU (${qmpPath}) answers no QMP command since its streams of RAM ended: QEMU ` +
    "waits forever for the rest of a stream of --multifd. Kill its process with SIGKILL (it ignores SIGTERM), " +
    "and start it again with -incoming defer";
}

/**
 * Whether QEMU answers nothing any more. With multifd the main loop of QEMU 7.2 to 11.1 waits until each stream
 * has brought its share; where a stream ends before that, it waits forever. As long as RAM arrives, QEMU may
 * answer later.
 *
 * @param progress a number that changes with every byte that arrives.
 */
export async function isSilent(
  qmp: QmpClient,
  clock: Clock,
  progress: () => number,
): Promise<boolean> {
  const silent = Promise.withResolvers<boolean>();
  const stop = afterStall(clock, SILENT_MS, progress, () => silent.resolve(true));
  const asked = qmp.execute("query-status", {}).then(
    () => false,
    (error) => error instanceof QmpTimeoutError,
  );
  try {
    return await Promise.race([asked, silent.promise]);
  } finally {
    stop();
  }
}
