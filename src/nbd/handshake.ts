/**
 * The client's side of the fixed newstyle negotiation (proto.md, "Fixed newstyle negotiation"): asks
 * for an export's properties, and leaves before the transmission phase.
 *
 * @module
 */
import type { BytePipe } from "../io/mod.ts";
import {
  askInfo,
  encodeName,
  greet,
  type NbdExportInfo,
  optionReply,
  sendOption,
} from "./options.ts";
import * as wire from "./wire.ts";

/**
 * Asks for the properties of `exportName` (NBD_OPT_INFO), then ends the negotiation (NBD_OPT_ABORT).
 * It must not enter the transmission phase: QEMU 7.2.22 (Debian) fails an assertion when a client
 * leaves an export whose disk has an iothread.
 *
 * @throws {NbdError} with the server's reason.
 */
export async function askExport(pipe: BytePipe, exportName: string): Promise<NbdExportInfo> {
  encodeName(exportName);
  await greet(pipe, wire.FLAG_FIXED_NEWSTYLE);
  const info = await askInfo(pipe, wire.OPT_INFO, exportName);
  await sendOption(pipe, wire.OPT_ABORT, new Uint8Array());
  await optionReply(pipe, wire.OPT_ABORT);
  return info;
}
