import { type Logger, messageOf } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";

/**
 * Pauses a guest that QEMU has resumed at the source after the handover. QEMU 10.0 does so where all of RAM has
 * crossed by post-copy and the stream breaks before the destination has confirmed it: the guest has run there, and
 * perhaps still does. Never rejects.
 */
export function pauseAgain({ qmp, log }: { readonly qmp: QmpClient; readonly log: Logger }): void {
  log.log("warning", "QEMU resumed the guest after the handover: vmferry pauses it again");
  qmp.execute("stop", {}).catch((error) => log.log("warning", `stop: ${messageOf(error)}`));
}
