/**
 * What the source has the destination undo, and when.
 *
 * @module
 */
import { messageOf, withDeadline } from "../../io/mod.ts";
import { asMigrationError } from "../errors.ts";
import type { SourceContext } from "./context.ts";
import type { DestinationLink } from "./destination_link.ts";
import { ABORT_MS, type DestinationPeer } from "./destination_peer.ts";

/** How long the destination may take to undo before anything ends here, ms. */
const UNDO_FIRST_MS = 2_000;

/**
 * Makes the peer's end a failure of the migration, and has the destination undo what it prepares when the
 * source undoes.
 *
 * @param peer `undefined`: another process had it, and a new one is connected.
 */
export function linkDestination(
  context: SourceContext,
  peer: DestinationPeer | undefined,
): DestinationLink {
  const link = context.linkTo(peer);
  context.undoThere.add("the session", () => link.close(), { elsewhere: true });
  context.undoThere.add("what the destination prepared", () => abortDestination(context), {
    ...{ ms: ABORT_MS, elsewhere: true },
  });
  return link;
}

/**
 * Has the destination undo, with the reason. Its QEMU ends with RAM's stream, and its exports are to be
 * removed before their clients leave: so this comes before anything ends here. Never rejects.
 */
export async function abortFirst(context: SourceContext): Promise<void> {
  const { clock, log, state } = context;
  // From the handover on only the destination's answer brings the guest back.
  if (!context.destination || ["handover", "postcopy"].includes(state.current)) return;
  await withDeadline(clock, UNDO_FIRST_MS, "the destination to undo", abortDestination(context))
    .catch((error) => log.log("debug", `abort: ${messageOf(error)}`));
}

async function abortDestination(context: SourceContext): Promise<void> {
  // Never once the destination may have the guest.
  if (["postcopy", "done", "unknown"].includes(context.state.current)) return;
  const reason = context.signal.reason ?? "The source gave up";
  const { kind, code, side, message } = asMigrationError(reason, "source");
  const cancelled = kind === "cancelled";
  await context.destination?.abort({ reason: message, cancelled, code, side });
}
