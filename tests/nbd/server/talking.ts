import { type BlockDevice, NbdServer, type ServerOptions } from "../../../src/nbd/mod.ts";
import { writeAll } from "../../../src/io/mod.ts";
import { concat } from "../../support/bytes.ts";
import { memoryPipe, type MemoryPipeEnd } from "../../support/memory_pipe.ts";
import { hex, reply, text, u16, u32, u64 } from "../dialogue.ts";

export const [EXPORT_NAME, ABORT, LIST, INFO, GO, STRUCTURED, LIST_META, SET_META] = [
  ...[1, 2, 3, 6, 7, 8, 9, 10],
] as [number, number, number, number, number, number, number, number];
export const [ACK, REP_SERVER, REP_INFO, REP_META] = [1, 2, 3, 4] as [
  number,
  number,
  number,
  number,
];
export const [UNSUP, INVALID, UNKNOWN, TOO_BIG, SHUTDOWN] = [1, 3, 6, 9, 7].map((n) =>
  0x80000000 + n
) as [number, number, number, number, number];

/** An option as a client sends it. */
export const option = (type: number, data: Uint8Array = new Uint8Array()) =>
  concat([text("IHAVEOPT"), u32(type), u32(data.length), data]);

/** The data of NBD_OPT_INFO and NBD_OPT_GO. */
export const infoData = (name: string, ...types: number[]) =>
  concat([u32(text(name).length), text(name), u16(types.length), ...types.map(u16)]);

/** The data of NBD_OPT_SET_META_CONTEXT. */
export const metaData = (name: string, ...queries: string[]) =>
  concat([
    ...[u32(text(name).length), text(name), u32(queries.length)],
    ...queries.flatMap((query) => [u32(text(query).length), text(query)]),
  ]);

/** A request as a client sends it. */
export const request = (
  type: number,
  offset: number | bigint,
  length: number,
  { flags = 0, cookie = 0x1122334455667788n, data = new Uint8Array() as Uint8Array } = {},
) =>
  concat([
    ...[hex("25609513"), u16(flags), u16(type), u64(cookie), u64(offset), u32(length), data],
  ]);

/** The bytes that enter the transmission phase, and what a server of a 1 MiB device answers. */
export const ENTRY = concat([u32(3), option(GO, infoData("disk"))]);
export const STRUCTURED_ENTRY = concat([
  u32(3),
  option(STRUCTURED),
  option(SET_META, metaData("disk", "base:allocation")),
  option(GO, infoData("disk")),
]);

/** A client that sends bytes and reads what comes. */
export class Talk {
  readonly serving: Promise<void>;
  readonly server: NbdServer;
  readonly pipe: MemoryPipeEnd;

  /** Serves `device` as "disk". */
  constructor(
    device: BlockDevice,
    options: ServerOptions & {
      readonly chunk?: () => number;
      readonly capacity?: number;
      readonly description?: string;
    } = {},
  ) {
    const { chunk, capacity, description, ...rest } = options;
    const of = { name: "disk", device, ...description === undefined ? {} : { description } };
    this.server = new NbdServer([of], rest);
    const [ours, theirs] = memoryPipe({
      ...chunk ? { chunk } : {},
      ...capacity === undefined ? {} : { capacity },
    });
    this.pipe = ours;
    this.serving = this.server.serve(theirs);
    this.serving.catch(() => {});
  }

  /** Sends bytes; a server that hangs up early is no error. */
  async say(...parts: readonly Uint8Array[]): Promise<void> {
    await writeAll(this.pipe, concat(parts)).catch(() => {});
  }

  /** The next `length` bytes, fewer if the server hangs up. */
  async hear(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let got = 0;
    while (got < length) {
      const n = await this.pipe.read(bytes.subarray(got));
      if (n === null) break;
      got += n;
    }
    return bytes.subarray(0, got);
  }

  /** Everything until the server hangs up. */
  async rest(): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    const buffer = new Uint8Array(65536);
    for (let n; (n = await this.pipe.read(buffer)) !== null;) parts.push(buffer.slice(0, n));
    return concat(parts);
  }

  /** Sends everything, hangs up, returns everything that came. */
  async all(...parts: readonly Uint8Array[]): Promise<Uint8Array> {
    const sending = this.say(...parts).then(() => this.pipe.closeWrite());
    const [heard] = await Promise.all([this.rest(), sending]);
    return heard;
  }
}

/** NBD_INFO_EXPORT in a reply to `of`. */
export const exportOf = (of: number, size: number, flags: number) =>
  reply(of, REP_INFO, concat([u16(0), u64(size), u16(flags)]));

/** A simple reply. */
export const simple = (error: number, data: Uint8Array = new Uint8Array()) =>
  concat([hex("67446698"), u32(error), hex("1122334455667788"), data]);

/** A chunk of a structured reply. */
export const chunk = (flags: number, type: number, data: Uint8Array) =>
  concat([
    ...[hex("668e33ef"), u16(flags), u16(type), hex("1122334455667788"), u32(data.length), data],
  ]);
