import type { MirrorSet } from "../disks/mirror_set.ts";
import { DiscardWatch } from "../guest/discards.ts";
import type { Held } from "../guest/pauses.ts";
import { ProgressTicker } from "../progress/ticker.ts";
import type { SourceContext } from "./context.ts";
import type { Prepared } from "./prepare.ts";

/** Every mirror is ready. */
export interface Copied {
  readonly mirrors: MirrorSet;
  readonly discards: DiscardWatch;
}

/** Copies the disks, and compares them where that is asked for. Throws the first cause when the migration fails. */
export async function copy(context: SourceContext, { mirrors }: Prepared): Promise<Copied> {
  const { pauses, signal } = context;
  const hold = (disk: string) => pauseFor(context, disk, mirrors);
  context.progress = new ProgressTicker(context, mirrors, hold);
  const discards = new DiscardWatch(context.qmp, mirrors.progress.map(({ name }) => name));
  await mirrors.start(signal);
  await mirrors.allReady(signal);
  // A guest that was paused for the last of them resumes before its RAM begins to cross.
  await pauses.holdNoMore();
  if (context.verification) {
    context.phase("verify");
    // To read all disks may take hours. A guest that was paused for the rest of the copy is paused again once RAM
    // crosses.
    await pauses.interrupt();
    await context.verification.compare(signal);
  }
  return { mirrors, discards };
}

/** Without a connection QEMU would wait for it before it has paused the guest, and the guest with it. */
async function pauseFor(
  context: SourceContext,
  disk: string,
  mirrors: MirrorSet,
): Promise<Held | undefined> {
  if (context.destination?.peer?.session.state !== "up") return undefined;
  return await context.pauses.hold((signal) => mirrors.ready(disk, signal));
}
