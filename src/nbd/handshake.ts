/**
 * The client's side of the fixed newstyle negotiation (proto.md, "Fixed newstyle negotiation"), up
 * to the transmission phase.
 *
 * @module
 */
import { type BytePipe, printable, readFull, UnexpectedEndError, writeAll } from "../io/mod.ts";
import { NbdError } from "./errors.ts";
import * as wire from "./wire.ts";

/** An export as its server describes it. Sizes in bytes. */
export interface NbdExportInfo {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly canFlush: boolean;
  readonly canTrim: boolean;
  readonly canWriteZeroes: boolean;
  readonly canMultiConn: boolean;
  /** Reads are answered in chunks (NBD_OPT_STRUCTURED_REPLY). */
  readonly structuredReplies: boolean;
  /** Block sizes, where the server told them. */
  readonly blockSizes:
    | { readonly minimum: number; readonly preferred: number; readonly maximum: number }
    | undefined;
}

/** Longest option reply that is read, bytes: a name, or an error with the server's text. */
const MAX_OPTION_REPLY = 64 * 1024;
/** Informations a server may give before its acknowledgement. */
const MAX_INFOS = 64;

/**
 * Negotiates `exportName` and enters the transmission phase.
 *
 * @throws {NbdError} saying what answered, or what the server has against it.
 */
export async function negotiate(pipe: BytePipe, exportName: string): Promise<NbdExportInfo> {
  const name = new TextEncoder().encode(exportName);
  if (name.length > wire.MAX_STRING) {
    throw new NbdError(
      "refused",
      `An export name of ${name.length} bytes is over the limit of 4096`,
    );
  }
  const greeting = view(await take(pipe, 18));
  if (greeting.getBigUint64(0) !== wire.NBDMAGIC) {
    throw new NbdError("not-nbd", "What answers is no NBD server");
  }
  if (greeting.getBigUint64(8) === wire.OLDSTYLE_MAGIC) {
    throw new NbdError(
      "not-nbd",
      "The NBD server speaks the old negotiation only, which has no names",
    );
  }
  if (greeting.getBigUint64(8) !== wire.IHAVEOPT) {
    throw new NbdError("not-nbd", "What answers begins like an NBD server and goes on differently");
  }
  const flags = greeting.getUint16(16);
  if ((flags & wire.FLAG_FIXED_NEWSTYLE) === 0) {
    throw new NbdError("not-nbd", "The NBD server does not speak the fixed newstyle negotiation");
  }
  const noZeroes = (flags & wire.FLAG_NO_ZEROES) !== 0;
  const clientFlags = new Uint8Array(4);
  view(clientFlags).setUint32(0, wire.FLAG_FIXED_NEWSTYLE | (noZeroes ? wire.FLAG_NO_ZEROES : 0));
  await writeAll(pipe, clientFlags);
  const structuredReplies = await askStructuredReplies(pipe);
  const info = await go(pipe, name, exportName) ?? await byName(pipe, name, noZeroes);
  return { ...info, structuredReplies };
}

/** OPT_STRUCTURED_REPLY; a server that does not want it says so in whatever words. */
async function askStructuredReplies(pipe: BytePipe): Promise<boolean> {
  await sendOption(pipe, wire.OPT_STRUCTURED_REPLY, new Uint8Array());
  const { type } = await optionReply(pipe, wire.OPT_STRUCTURED_REPLY);
  if (type === wire.REP_ACK || type >= wire.REP_ERROR_BIT) return type === wire.REP_ACK;
  throw new NbdError("protocol-error", `Got option reply ${type} to NBD_OPT_STRUCTURED_REPLY`);
}

/** OPT_GO; `undefined` when the server does not know it. */
async function go(
  pipe: BytePipe,
  name: Uint8Array,
  exportName: string,
): Promise<Described | undefined> {
  const data = new Uint8Array(4 + name.length + 4);
  view(data).setUint32(0, name.length);
  data.set(name, 4);
  view(data).setUint16(4 + name.length, 1);
  view(data).setUint16(6 + name.length, wire.INFO_BLOCK_SIZE);
  await sendOption(pipe, wire.OPT_GO, data);
  let info: Described | undefined;
  let blockSizes: NbdExportInfo["blockSizes"];
  for (let i = 0; i < MAX_INFOS; i++) {
    const reply = await optionReply(pipe, wire.OPT_GO);
    if (reply.type === wire.REP_ERR_UNSUP) return undefined;
    if (reply.type >= wire.REP_ERROR_BIT) throw optionError(reply.type, reply.data, exportName);
    if (reply.type === wire.REP_ACK) {
      if (!info) {
        throw new NbdError("protocol-error", "The NBD server agreed without telling the size");
      }
      return { ...info, blockSizes };
    }
    if (reply.type !== wire.REP_INFO || reply.data.length < 2) {
      throw new NbdError("protocol-error", `Got option reply ${reply.type} to NBD_OPT_GO`);
    }
    const body = view(reply.data);
    const kind = body.getUint16(0);
    if (kind === wire.INFO_EXPORT && reply.data.length === 12) {
      info = describe(body.getBigUint64(2), body.getUint16(10));
    } else if (kind === wire.INFO_BLOCK_SIZE && reply.data.length === 14) {
      blockSizes = {
        minimum: body.getUint32(2),
        preferred: body.getUint32(6),
        maximum: body.getUint32(10),
      };
    } else if (kind === wire.INFO_EXPORT || kind === wire.INFO_BLOCK_SIZE) {
      throw new NbdError("protocol-error", `Got information ${kind} of ${reply.data.length} bytes`);
    }
  }
  throw new NbdError("protocol-error", `The NBD server gave more than ${MAX_INFOS} informations`);
}

/** OPT_EXPORT_NAME, for servers that are older than OPT_GO; they can only hang up to refuse. */
async function byName(pipe: BytePipe, name: Uint8Array, noZeroes: boolean): Promise<Described> {
  await sendOption(pipe, wire.OPT_EXPORT_NAME, name);
  let answer: DataView;
  try {
    answer = view(await take(pipe, noZeroes ? 10 : 134));
  } catch (error) {
    if (!(error instanceof NbdError)) throw error;
    throw new NbdError("unknown-export", "The NBD server hung up on the export's name", {
      cause: error,
    });
  }
  return describe(answer.getBigUint64(0), answer.getUint16(8));
}

type Described = Omit<NbdExportInfo, "structuredReplies">;

function describe(size: bigint, flags: number): Described {
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new NbdError("protocol-error", `The export has ${size} bytes, which is over 2^53`);
  }
  return {
    sizeBytes: Number(size),
    readOnly: (flags & wire.FLAG_READ_ONLY) !== 0,
    canFlush: (flags & wire.FLAG_SEND_FLUSH) !== 0,
    canTrim: (flags & wire.FLAG_SEND_TRIM) !== 0,
    canWriteZeroes: (flags & wire.FLAG_SEND_WRITE_ZEROES) !== 0,
    canMultiConn: (flags & wire.FLAG_CAN_MULTI_CONN) !== 0,
    blockSizes: undefined,
  };
}

function optionError(type: number, data: Uint8Array, exportName: string): NbdError {
  const text = printable(new TextDecoder().decode(data), 300);
  const said = text ? `: ${text}` : "";
  switch (type) {
    case wire.REP_ERR_UNKNOWN:
      return new NbdError(
        "unknown-export",
        `The NBD server knows no export "${exportName}"${said}`,
      );
    case wire.REP_ERR_TLS_REQD:
      return new NbdError("tls-required", `The NBD server wants TLS${said}`);
    default:
      return new NbdError(
        "refused",
        `The NBD server refused export "${exportName}" (0x${type.toString(16)})${said}`,
      );
  }
}

async function sendOption(pipe: BytePipe, option: number, data: Uint8Array): Promise<void> {
  const bytes = new Uint8Array(16 + data.length);
  view(bytes).setBigUint64(0, wire.IHAVEOPT);
  view(bytes).setUint32(8, option);
  view(bytes).setUint32(12, data.length);
  bytes.set(data, 16);
  await writeAll(pipe, bytes);
}

async function optionReply(
  pipe: BytePipe,
  option: number,
): Promise<{ type: number; data: Uint8Array }> {
  const head = view(await take(pipe, 20));
  if (head.getBigUint64(0) !== wire.OPTION_REPLY_MAGIC) {
    throw new NbdError("protocol-error", "Got an option reply without its magic number");
  }
  if (head.getUint32(8) !== option) {
    throw new NbdError(
      "protocol-error",
      `Got a reply to option ${head.getUint32(8)}, asked ${option}`,
    );
  }
  const length = head.getUint32(16);
  if (length > MAX_OPTION_REPLY) {
    throw new NbdError("protocol-error", `Got an option reply of ${length} bytes`);
  }
  return { type: head.getUint32(12), data: await take(pipe, length) };
}

async function take(pipe: BytePipe, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  try {
    if (length === 0 || await readFull(pipe, bytes)) return bytes;
  } catch (error) {
    if (!(error instanceof UnexpectedEndError)) throw error;
  }
  throw new NbdError("closed", "The NBD server hung up during the negotiation");
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
