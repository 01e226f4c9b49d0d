/**
 * The client's side of the fixed newstyle negotiation (proto.md, "Fixed newstyle negotiation"): asks for
 * what an export is, and leaves before the transmission phase begins.
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
 * Asks what `exportName` is (NBD_OPT_INFO), then ends the negotiation (NBD_OPT_ABORT). A client that went
 * on would be one of the export's, and so of the iothread of its disk: QEMU 7.2.22 as Debian has it fails
 * an assertion when such a one leaves.
 *
 * @throws {NbdError} saying what answered, or what the server has against it.
 */
export async function askExport(pipe: BytePipe, exportName: string): Promise<NbdExportInfo> {
  encodeName(exportName);
  await greet(pipe, wire.FLAG_FIXED_NEWSTYLE);
  const info = await askInfo(pipe, wire.OPT_INFO, exportName);
  await sendOption(pipe, wire.OPT_ABORT, new Uint8Array());
  await optionReply(pipe, wire.OPT_ABORT);
  return info;
}
