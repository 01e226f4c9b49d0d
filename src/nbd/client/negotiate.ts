/**
 * The client's way into the transmission phase (proto.md, "Fixed newstyle negotiation"), also of a
 * server that only knows NBD_OPT_EXPORT_NAME.
 *
 * @module
 */
import type { BytePipe } from "../../io/mod.ts";
import { take, view } from "../bytes.ts";
import { NbdError } from "../errors.ts";
import { abilitiesOf, DEFAULT_BLOCK_SIZE } from "../export_flags.ts";
import type { Export } from "../request.ts";
import * as wire from "../wire.ts";
import {
  askInfo,
  describe,
  encodeName,
  type ExportDetails,
  greet,
  type Greeting,
  optionReply,
  sendOption,
} from "./options.ts";

/** An export that is open. */
export interface Opened extends Export {
  /** The server sends structured replies. */
  readonly structured: boolean;
  /** Id of the metadata context that was asked for, if the server has it. */
  readonly context: number | undefined;
}

/** Contexts that a server may send for one query. */
const MAX_CONTEXTS = 16;

/**
 * Enters the transmission phase with `exportName` and, if the server has it, one metadata context.
 *
 * @throws {NbdError} with the server's reason.
 */
export async function negotiate(
  pipe: BytePipe,
  exportName: string,
  contextName: string,
): Promise<Opened> {
  encodeName(exportName);
  const greeting = await greet(pipe, wire.FLAG_FIXED_NEWSTYLE | wire.FLAG_NO_ZEROES);
  if (!greeting.isFixed) {
    return opened(await exportByName(pipe, exportName, greeting), false, undefined);
  }
  try {
    const structured = await askStructured(pipe);
    const context = structured ? await askContext(pipe, exportName, contextName) : undefined;
    const details = await askInfo(pipe, wire.OPT_GO, exportName) ??
      await exportByName(pipe, exportName, greeting);
    return opened(details, structured, context);
  } catch (error) {
    await leave(pipe, error);
    throw error;
  }
}

function opened(
  { sizeBytes, readOnly, flags, blockSize }: ExportDetails,
  structured: boolean,
  context: number | undefined,
): Opened {
  return {
    sizeBytes,
    readOnly,
    blockSize: blockSize ?? DEFAULT_BLOCK_SIZE,
    can: abilitiesOf(flags, context !== undefined),
    structured,
    context,
  };
}

/** The end of a negotiation that failed by an answer, not by the connection (NBD_OPT_ABORT). */
async function leave(pipe: BytePipe, error: unknown): Promise<void> {
  if (!(error instanceof NbdError) || error.code === "closed" || error.code === "protocol-error") {
    return;
  }
  // Not its reply: a server may just hang up.
  await sendOption(pipe, wire.OPT_ABORT, new Uint8Array()).catch(() => {});
}

async function askStructured(pipe: BytePipe): Promise<boolean> {
  await sendOption(pipe, wire.OPT_STRUCTURED_REPLY, new Uint8Array());
  return (await optionReply(pipe, wire.OPT_STRUCTURED_REPLY)).type === wire.REP_ACK;
}

async function askContext(
  pipe: BytePipe,
  exportName: string,
  context: string,
): Promise<number | undefined> {
  const name = encodeName(exportName);
  const query = new TextEncoder().encode(context);
  const data = new Uint8Array(4 + name.length + 8 + query.length);
  const numbers = view(data);
  numbers.setUint32(0, name.length);
  data.set(name, 4);
  numbers.setUint32(4 + name.length, 1);
  numbers.setUint32(8 + name.length, query.length);
  data.set(query, 12 + name.length);
  await sendOption(pipe, wire.OPT_SET_META_CONTEXT, data);
  let id: number | undefined;
  for (let i = 0; i < MAX_CONTEXTS; i++) {
    const reply = await optionReply(pipe, wire.OPT_SET_META_CONTEXT);
    if (reply.type === wire.REP_ACK) return id;
    // Ignore an error here: OPT_GO reports a missing export. "The client MUST disregard any context
    // replies that may have been sent."
    if (reply.type >= wire.REP_ERROR_BIT) return undefined;
    if (reply.type !== wire.REP_META_CONTEXT || reply.data.length < 4) {
      throw new NbdError("protocol-error", `Got option reply ${reply.type} to a metadata context`);
    }
    if (new TextDecoder().decode(reply.data.subarray(4)) === context) {
      id = view(reply.data).getUint32(0);
    }
  }
  throw new NbdError("protocol-error", "The NBD server sent more than 16 contexts, expected 1");
}

/** Enters the transmission phase with NBD_OPT_EXPORT_NAME; a server that refuses hangs up. */
async function exportByName(
  pipe: BytePipe,
  exportName: string,
  { noZeroes }: Greeting,
): Promise<ExportDetails> {
  await sendOption(pipe, wire.OPT_EXPORT_NAME, encodeName(exportName));
  let reply: Uint8Array;
  try {
    reply = await take(pipe, noZeroes ? 10 : 10 + wire.EXPORT_NAME_ZEROES, "server");
  } catch (error) {
    if (!(error instanceof NbdError)) throw error;
    throw new NbdError("unknown-export", `The NBD server hung up on export "${exportName}"`, {
      cause: error,
    });
  }
  return describe(view(reply), 0);
}
