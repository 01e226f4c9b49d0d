/**
 * The server's side of the newstyle negotiation (proto.md, "Newstyle negotiation", "Fixed newstyle
 * negotiation"), without TLS.
 *
 * @module
 */
import { type BytePipe, printable, writeAll } from "../../io/mod.ts";
import { setU64, take, view } from "../bytes.ts";
import type { BlockDevice } from "../device.ts";
import { NbdError } from "../errors.ts";
import { encodeBlockSize, flagsOf } from "../export_flags.ts";
import * as wire from "../wire.ts";
import type { ExportSource, NbdExport } from "./exports.ts";
import { type ContextRequest, decodeContexts, decodeInfo, decodeString } from "./option_data.ts";

/** What a client has chosen. */
export interface Chosen {
  readonly device: BlockDevice;
  /** Structured replies. */
  readonly structured: boolean;
  /** `base:allocation`, with {@link CONTEXT_ID}. */
  readonly context: boolean;
}

/** Of `base:allocation`; any number would do. */
export const CONTEXT_ID = 1;

/** Longest option data that is read, bytes: far more than a name and a few queries. */
const MAX_OPTION = 64 * 1024;
/** Options of one client. */
const MAX_OPTIONS = 1024;

type Reply = readonly [type: number, data?: Uint8Array];

/** The negotiation with one client. */
export class Negotiation {
  readonly #pipe: BytePipe;
  readonly #exports: ExportSource;
  readonly #found = new Map<string, NbdExport | undefined>();
  readonly #isEnding: () => boolean;
  #noZeroes = false;
  #structured = false;
  /** The export of the last NBD_OPT_SET_META_CONTEXT that selected `base:allocation`. */
  #contextOf: NbdExport | undefined;

  /** Does not own the pipe. `isEnding`: the server is being shut down. */
  constructor(pipe: BytePipe, exports: ExportSource, isEnding: () => boolean) {
    this.#pipe = pipe;
    this.#exports = exports;
    this.#isEnding = isEnding;
  }

  /**
   * Answers options until the client enters the transmission phase.
   *
   * @returns `undefined` when the client has left (NBD_OPT_ABORT).
   * @throws {NbdError} code `protocol-error` or `not-nbd`: hang up; `closed`: the client has.
   */
  async run(): Promise<Chosen | undefined> {
    const isFixed = await this.#greet();
    for (let i = 0; i < MAX_OPTIONS; i++) {
      const head = view(await take(this.#pipe, wire.OPTION_BYTES, "client"));
      if (head.getBigUint64(0) !== wire.IHAVEOPT) {
        throw new NbdError("protocol-error", "Got an option without its magic number");
      }
      const [option, length] = [head.getUint32(8), head.getUint32(12)];
      if (option === wire.OPT_EXPORT_NAME) return await this.#exportName(length);
      if (!isFixed) {
        throw new NbdError("protocol-error", `Got option ${option} without fixed newstyle`);
      }
      if (option === wire.OPT_ABORT) {
        // The client may have hung up without the reply, as earlier versions of proto.md allowed.
        await this.#answer(option, [[wire.REP_ACK]]).catch(() => {});
        return undefined;
      }
      const data = await this.#data(length);
      const chosen = await this.#option(option, data);
      if (chosen) return chosen;
    }
    throw new NbdError("protocol-error", `Got more than ${MAX_OPTIONS} options`);
  }

  /** Whether the client speaks fixed newstyle. */
  async #greet(): Promise<boolean> {
    const ours = wire.FLAG_FIXED_NEWSTYLE | wire.FLAG_NO_ZEROES;
    const greeting = new Uint8Array(wire.GREETING_BYTES);
    view(greeting).setBigUint64(0, wire.NBDMAGIC);
    view(greeting).setBigUint64(8, wire.IHAVEOPT);
    view(greeting).setUint16(16, ours);
    await writeAll(this.#pipe, greeting);
    const flags = view(await take(this.#pipe, 4, "client")).getUint32(0);
    if ((flags & ~ours) !== 0) {
      throw new NbdError("not-nbd", `Got client flags 0x${flags.toString(16)}, expected 0 to 3`);
    }
    this.#noZeroes = (flags & wire.FLAG_NO_ZEROES) !== 0;
    return (flags & wire.FLAG_FIXED_NEWSTYLE) !== 0;
  }

  /** An option's data; `undefined`, and nothing of it kept, when it is too long. */
  async #data(length: number): Promise<Uint8Array | undefined> {
    if (length <= MAX_OPTION) return await take(this.#pipe, length, "client");
    for (let left = length; left > 0; left -= MAX_OPTION) {
      await take(this.#pipe, Math.min(left, MAX_OPTION), "client");
    }
    return undefined;
  }

  async #option(option: number, data: Uint8Array | undefined): Promise<Chosen | undefined> {
    const answer = (...replies: Reply[]) => this.#answer(option, replies);
    const known = (ANSWERED as readonly number[]).includes(option);
    // A failed selection leaves none selected.
    if (option === wire.OPT_SET_META_CONTEXT) this.#contextOf = undefined;
    if (this.#isEnding()) {
      await answer(refusal(wire.REP_ERR_SHUTDOWN, "The server is shutting down"));
    } else if (!known) {
      await answer(refusal(wire.REP_ERR_UNSUP, `Option ${option} is not supported`));
    } else if (!data) {
      await answer(refusal(wire.REP_ERR_TOO_BIG, "The option is longer than 64 KiB"));
    } else {
      switch (option) {
        case wire.OPT_LIST:
          await answer(...this.#list(data));
          break;
        case wire.OPT_STRUCTURED_REPLY:
          await answer(this.#structuredReply(data));
          break;
        case wire.OPT_INFO:
        case wire.OPT_GO: {
          const { replies, of } = await this.#info(data);
          await answer(...replies);
          if (of && option === wire.OPT_GO) return this.#chosen(of);
          break;
        }
        default:
          await answer(...await this.#contexts(option, data));
      }
    }
    return undefined;
  }

  /** NBD_OPT_EXPORT_NAME has no error: "the server MUST terminate the session". */
  async #exportName(length: number): Promise<Chosen> {
    if (length > wire.MAX_STRING) {
      throw new NbdError("protocol-error", `Got an export name of ${length} bytes`);
    }
    const name = decodeString(await take(this.#pipe, length, "client"));
    const of = name === undefined || this.#isEnding() ? undefined : await this.#find(name);
    if (!of) throw new NbdError("unknown-export", `There is no export "${name ?? ""}"`);
    const reply = new Uint8Array(this.#noZeroes ? 10 : 10 + wire.EXPORT_NAME_ZEROES);
    setU64(view(reply), 0, of.device.sizeBytes);
    view(reply).setUint16(8, flagsOf(of.device, this.#structured));
    await writeAll(this.#pipe, reply);
    return this.#chosen(of);
  }

  #chosen(of: NbdExport): Chosen {
    return {
      device: of.device,
      structured: this.#structured,
      context: this.#contextOf === of,
    };
  }

  async #find(name: string): Promise<NbdExport | undefined> {
    if (!this.#found.has(name)) this.#found.set(name, await this.#exports.find(name));
    return this.#found.get(name);
  }

  #list(data: Uint8Array): Reply[] {
    if (data.length > 0) return [invalid("A list has no data")];
    return [...this.#exports.list().map((of): Reply => [wire.REP_SERVER, describe(of)]), [
      wire.REP_ACK,
    ]];
  }

  #structuredReply(data: Uint8Array): Reply {
    if (data.length > 0) return invalid("Structured replies are asked for without data");
    this.#structured = true;
    return [wire.REP_ACK];
  }

  async #info(data: Uint8Array): Promise<{ replies: Reply[]; of?: NbdExport }> {
    const request = decodeInfo(data);
    if (!request) return { replies: [invalid("The name and the list do not fit the option")] };
    const of = await this.#find(request.exportName);
    if (!of) return { replies: [unknown(request.exportName)] };
    const { device } = of;
    const info = new Uint8Array(12);
    setU64(view(info), 2, device.sizeBytes);
    view(info).setUint16(10, flagsOf(device, this.#structured));
    const replies: Reply[] = [[wire.REP_INFO, info]];
    const wants = (type: number) => request.types.includes(type);
    if (wants(wire.INFO_NAME)) replies.push([wire.REP_INFO, text(wire.INFO_NAME, of.name)]);
    if (wants(wire.INFO_DESCRIPTION) && of.description !== undefined) {
      replies.push([wire.REP_INFO, text(wire.INFO_DESCRIPTION, of.description)]);
    }
    // Also to a client that did not ask, if it will fail when it does not know.
    if (wants(wire.INFO_BLOCK_SIZE) || device.blockSize.minimum > 1) {
      replies.push([wire.REP_INFO, encodeBlockSize(device.blockSize)]);
    }
    return { replies: [...replies, [wire.REP_ACK]], of };
  }

  async #contexts(option: number, data: Uint8Array): Promise<Reply[]> {
    const isSetting = option === wire.OPT_SET_META_CONTEXT;
    if (!this.#structured) return [invalid("Negotiate structured replies first")];
    const request = decodeContexts(data);
    if (!request) return [invalid("The name and the queries do not fit the option")];
    const of = await this.#find(request.exportName);
    if (!of) return [unknown(request.exportName)];
    if (request.queries.some((query) => !query.includes(":"))) {
      return [invalid("A query begins with a namespace and a colon")];
    }
    if (!of.device.can.blockStatus || !asksForAllocation(request, isSetting)) {
      return [[wire.REP_ACK]];
    }
    if (isSetting) this.#contextOf = of;
    return [[wire.REP_META_CONTEXT, context(isSetting ? CONTEXT_ID : 0)], [wire.REP_ACK]];
  }

  async #answer(option: number, replies: readonly Reply[]): Promise<void> {
    const length = ([, data]: Reply) => wire.OPTION_REPLY_BYTES + (data?.length ?? 0);
    const bytes = new Uint8Array(replies.reduce((sum, reply) => sum + length(reply), 0));
    const numbers = view(bytes);
    let at = 0;
    for (const reply of replies) {
      const [type, data = new Uint8Array()] = reply;
      numbers.setBigUint64(at, wire.OPTION_REPLY_MAGIC);
      numbers.setUint32(at + 8, option);
      numbers.setUint32(at + 12, type);
      numbers.setUint32(at + 16, data.length);
      bytes.set(data, at + wire.OPTION_REPLY_BYTES);
      at += length(reply);
    }
    await writeAll(this.#pipe, bytes);
  }
}

const ANSWERED = [
  wire.OPT_LIST,
  wire.OPT_INFO,
  wire.OPT_GO,
  wire.OPT_STRUCTURED_REPLY,
  wire.OPT_LIST_META_CONTEXT,
  wire.OPT_SET_META_CONTEXT,
] as const;

const encode = (value: string) => new TextEncoder().encode(value);

function refusal(type: number, message: string): Reply {
  return [type, encode(message)];
}

const invalid = (message: string) => refusal(wire.REP_ERR_INVALID, message);
const unknown = (name: string) =>
  refusal(wire.REP_ERR_UNKNOWN, `There is no export "${printable(name, 100)}"`);

/** An NBD_REP_SERVER: u32 length of the name, name, description. */
function describe({ name, description = "" }: NbdExport): Uint8Array {
  const [first, second] = [encode(name), encode(description)];
  const data = new Uint8Array(4 + first.length + second.length);
  view(data).setUint32(0, first.length);
  data.set(first, 4);
  data.set(second, 4 + first.length);
  return data;
}

/** An information: u16 type, string. */
function text(type: number, value: string): Uint8Array {
  const bytes = encode(value);
  const data = new Uint8Array(2 + bytes.length);
  view(data).setUint16(0, type);
  data.set(bytes, 2);
  return data;
}

/** An NBD_REP_META_CONTEXT: u32 id, name. */
function context(id: number): Uint8Array {
  const name = encode(wire.BASE_ALLOCATION);
  const data = new Uint8Array(4 + name.length);
  view(data).setUint32(0, id);
  data.set(name, 4);
  return data;
}

function asksForAllocation({ queries }: ContextRequest, isSetting: boolean): boolean {
  // A list without queries is one of everything; "base:" is a wildcard of a list only.
  if (queries.length === 0) return !isSetting;
  return queries.includes(wire.BASE_ALLOCATION) || (!isSetting && queries.includes("base:"));
}
