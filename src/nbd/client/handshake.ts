/**
 * The client's side of the fixed newstyle negotiation (proto.md, "Fixed newstyle negotiation"): asks
 * for an export's properties, and leaves before the transmission phase.
 *
 * @module
 */
import type { BytePipe } from "../../io/mod.ts";
import { NbdError } from "../errors.ts";
import * as wire from "../wire.ts";
import {
  askInfo,
  encodeName,
  greet,
  type NbdExportInfo,
  notFixed,
  optionReply,
  sendOption,
} from "./options.ts";

/**
 * Asks for the properties of `exportName` (NBD_OPT_INFO), then ends the negotiation (NBD_OPT_ABORT).
 * It must not enter the transmission phase: QEMU 7.2.22 (Debian) fails an assertion when a client
 * leaves an export whose disk has an iothread.
 *
 * @throws {NbdError} with the server's reason.
 */
export async function askExport(pipe: BytePipe, exportName: string): Promise<NbdExportInfo> {
  encodeName(exportName);
  const { isFixed } = await greet(pipe, wire.FLAG_FIXED_NEWSTYLE);
  if (!isFixed) throw notFixed();
  const info = await askInfo(pipe, wire.OPT_INFO, exportName);
  if (!info) throw new NbdError("not-nbd", "The NBD server does not support NBD_OPT_INFO");
  await sendOption(pipe, wire.OPT_ABORT, new Uint8Array());
  await optionReply(pipe, wire.OPT_ABORT);
  return { sizeBytes: info.sizeBytes, readOnly: info.readOnly };
}
