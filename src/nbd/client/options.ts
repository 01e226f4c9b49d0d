/**
 * The client's options and their replies (proto.md, "Fixed newstyle negotiation").
 *
 * @module
 */
import { type BytePipe, printable, writeAll } from "../../io/mod.ts";
import { take, u64, view } from "../bytes.ts";
import type { BlockSize } from "../device.ts";
import { NbdError } from "../errors.ts";
import { decodeBlockSize } from "../export_flags.ts";
import * as wire from "../wire.ts";

/** An export as its server describes it. */
export interface NbdExportInfo {
  /** Bytes. */
  readonly sizeBytes: number;
  /** NBD_FLAG_READ_ONLY. */
  readonly readOnly: boolean;
}

/** All of what a server says about an export. */
export interface ExportDetails extends NbdExportInfo {
  /** Transmission flags. */
  readonly flags: number;
  /** As the server has sent it, if it has. */
  readonly blockSize?: BlockSize;
}

/** Longest option reply that is accepted, bytes: a name, or an error with the server's text. */
const MAX_OPTION_REPLY = 64 * 1024;
/** NBD_REP_INFO replies that a server may send before its NBD_REP_ACK. */
const MAX_INFOS = 64;

/**
 * An export's name as bytes.
 *
 * @throws {NbdError} code `refused` when it is longer than 4096 bytes.
 */
export function encodeName(exportName: string): Uint8Array {
  const name = new TextEncoder().encode(exportName);
  if (name.length > wire.MAX_STRING) {
    throw new NbdError(
      "refused",
      `The export name has ${name.length} bytes; NBD allows 4096`,
    );
  }
  return name;
}

/** The handshake flags that both sides have. */
export interface Greeting {
  /** Other options than NBD_OPT_EXPORT_NAME exist, and every option but that one has a reply. */
  readonly isFixed: boolean;
  /** NBD_FLAG_NO_ZEROES. */
  readonly noZeroes: boolean;
}

/**
 * Reads the server's greeting and answers it.
 *
 * @throws {NbdError} code `not-nbd` when the peer is no NBD server, or an oldstyle one.
 */
export async function greet(pipe: BytePipe, clientFlags: number): Promise<Greeting> {
  const greeting = view(await take(pipe, wire.GREETING_BYTES, "server"));
  if (greeting.getBigUint64(0) !== wire.NBDMAGIC) {
    throw new NbdError("not-nbd", "The peer is not an NBD server");
  }
  if (greeting.getBigUint64(8) === wire.OLDSTYLE_MAGIC) {
    throw new NbdError(
      "not-nbd",
      "The NBD server only speaks the oldstyle negotiation, which has no export names",
    );
  }
  if (greeting.getBigUint64(8) !== wire.IHAVEOPT) {
    throw new NbdError("not-nbd", "The peer begins like an NBD server and continues differently");
  }
  const flags = clientFlags & greeting.getUint16(16);
  const answer = new Uint8Array(4);
  view(answer).setUint32(0, flags);
  await writeAll(pipe, answer);
  return {
    isFixed: (flags & wire.FLAG_FIXED_NEWSTYLE) !== 0,
    noZeroes: (flags & wire.FLAG_NO_ZEROES) !== 0,
  };
}

/** The error for a server without the fixed newstyle negotiation. */
export function notFixed(): NbdError {
  return new NbdError("not-nbd", "The NBD server does not speak the fixed newstyle negotiation");
}

/**
 * Parses an NBD_INFO_EXPORT: u16 0, u64 size, u16 transmission flags.
 *
 * @throws {NbdError} code `protocol-error` when it has another length, or the size is over 2^53.
 */
export function exportInfo(data: Uint8Array): ExportDetails {
  if (data.length !== 12) {
    throw new NbdError(
      "protocol-error",
      `Got an NBD_INFO_EXPORT of ${data.length} bytes, expected 12`,
    );
  }
  return describe(view(data), 2);
}

/** Parses u64 size, u16 transmission flags. */
export function describe(numbers: DataView, at: number): ExportDetails {
  const sizeBytes = u64(numbers, at);
  if (sizeBytes === Infinity) {
    const size = numbers.getBigUint64(at);
    throw new NbdError("protocol-error", `The export has ${size} bytes, which is over 2^53`);
  }
  const flags = numbers.getUint16(at + 8);
  return { sizeBytes, readOnly: (flags & wire.FLAG_READ_ONLY) !== 0, flags };
}

/**
 * Asks for an export with NBD_OPT_INFO, or with NBD_OPT_GO, which begins the transmission phase.
 *
 * @returns `undefined` when the server does not know the option.
 * @throws {NbdError} with the server's reason.
 */
export async function askInfo(
  pipe: BytePipe,
  option: typeof wire.OPT_INFO | typeof wire.OPT_GO,
  exportName: string,
): Promise<ExportDetails | undefined> {
  const name = encodeName(exportName);
  const data = new Uint8Array(4 + name.length + 4);
  view(data).setUint32(0, name.length);
  data.set(name, 4);
  // A server may refuse a client that does not ask for block sizes (NBD_REP_ERR_BLOCK_SIZE_REQD).
  view(data).setUint16(4 + name.length, 1);
  view(data).setUint16(6 + name.length, wire.INFO_BLOCK_SIZE);
  await sendOption(pipe, option, data);
  let info: ExportDetails | undefined;
  let blockSize: BlockSize | undefined;
  for (let i = 0; i < MAX_INFOS; i++) {
    const reply = await optionReply(pipe, option);
    if (reply.type === wire.REP_ERR_UNSUP) return undefined;
    if (reply.type >= wire.REP_ERROR_BIT) throw optionError(reply.type, reply.data, exportName);
    if (reply.type === wire.REP_ACK) {
      if (info) return blockSize ? { ...info, blockSize } : info;
      throw new NbdError("protocol-error", "The NBD server accepted the export without its size");
    }
    if (reply.type !== wire.REP_INFO || reply.data.length < 2) {
      throw new NbdError("protocol-error", `Got option reply ${reply.type} to option ${option}`);
    }
    switch (view(reply.data).getUint16(0)) {
      case wire.INFO_EXPORT:
        info = exportInfo(reply.data);
        break;
      case wire.INFO_BLOCK_SIZE:
        blockSize = decodeBlockSize(reply.data);
    }
  }
  throw new NbdError("protocol-error", `The NBD server sent more than ${MAX_INFOS} NBD_REP_INFOs`);
}

/** The error for a server's error reply to an option. */
function optionError(type: number, data: Uint8Array, exportName: string): NbdError {
  const text = printable(new TextDecoder().decode(data), 300);
  const reason = text ? `: ${text}` : "";
  switch (type) {
    case wire.REP_ERR_UNKNOWN:
      return new NbdError(
        "unknown-export",
        `The NBD server has no export "${exportName}"${reason}`,
      );
    case wire.REP_ERR_TLS_REQD:
      return new NbdError("tls-required", `The NBD server wants TLS${reason}`);
    default:
      return new NbdError(
        "refused",
        `The NBD server refused export "${exportName}" (0x${type.toString(16)})${reason}`,
      );
  }
}

/** Sends an option. */
export async function sendOption(pipe: BytePipe, option: number, data: Uint8Array): Promise<void> {
  const bytes = new Uint8Array(wire.OPTION_BYTES + data.length);
  view(bytes).setBigUint64(0, wire.IHAVEOPT);
  view(bytes).setUint32(8, option);
  view(bytes).setUint32(12, data.length);
  bytes.set(data, wire.OPTION_BYTES);
  await writeAll(pipe, bytes);
}

/**
 * Reads the next reply to an option.
 *
 * @throws {NbdError} code `protocol-error` when something else comes, `closed` when nothing does.
 */
export async function optionReply(
  pipe: BytePipe,
  option: number,
): Promise<{ type: number; data: Uint8Array }> {
  const head = view(await take(pipe, wire.OPTION_REPLY_BYTES, "server"));
  if (head.getBigUint64(0) !== wire.OPTION_REPLY_MAGIC) {
    throw new NbdError("protocol-error", "Got an option reply without its magic number");
  }
  if (head.getUint32(8) !== option) {
    throw new NbdError(
      "protocol-error",
      `Got a reply to option ${head.getUint32(8)}, expected one to option ${option}`,
    );
  }
  const length = head.getUint32(16);
  if (length > MAX_OPTION_REPLY) {
    throw new NbdError(
      "protocol-error",
      `Got an option reply of ${length} bytes, expected ${MAX_OPTION_REPLY} at most`,
    );
  }
  return { type: head.getUint32(12), data: await take(pipe, length, "server") };
}
