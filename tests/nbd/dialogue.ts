/**
 * An NBD server's bytes, written out from the layouts of the NBD project's doc/proto.md.
 *
 * @module
 */
import { concat } from "../support/bytes.ts";
import { memoryPipe, type MemoryPipeEnd } from "../support/memory_pipe.ts";
import { writeAll } from "../../src/io/mod.ts";

/** Bytes from hexadecimal text; blanks are ignored. */
export function hex(text: string): Uint8Array {
  const digits = text.replace(/\s/g, "");
  return Uint8Array.from(
    { length: digits.length / 2 },
    (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

const number = (value: number | bigint, bytes: number) =>
  hex(BigInt(value).toString(16).padStart(bytes * 2, "0"));
export const u16 = (value: number) => number(value, 2);
export const u32 = (value: number) => number(value, 4);
export const u64 = (value: number | bigint) => number(value, 8);
export const text = (value: string) => new TextEncoder().encode(value);

export const GREETING = concat([text("NBDMAGIC"), text("IHAVEOPT"), u16(3)]);

/** A reply to an option. */
export function reply(option: number, type: number, data: Uint8Array = new Uint8Array()) {
  return concat([hex("0003e889045565a9"), u32(option), u32(type), u32(data.length), data]);
}

export const OPT_ABORT = 2;
export const OPT_INFO = 6;
export const ACK = 1;
export const INFO = 3;

/** NBD_INFO_EXPORT. */
export const exportInfo = (size: number | bigint, flags = 0b1100101) =>
  reply(OPT_INFO, INFO, concat([u16(0), u64(size), u16(flags)]));

/** The bytes of a correct server until the client has left. */
export const WHOLE: readonly Uint8Array[] = [
  GREETING,
  exportInfo(1024 * 1024),
  reply(OPT_INFO, INFO, concat([u16(3), u32(1), u32(4096), u32(33554432)])),
  reply(OPT_INFO, ACK),
  reply(OPT_ABORT, ACK),
];

/** A pipe whose other end sends `parts` and hangs up after the client has, or at once. */
export function serverSaying(
  parts: readonly Uint8Array[],
  options: { chunk?: () => number; hangUp?: boolean } = {},
): MemoryPipeEnd {
  const [ours, theirs] = memoryPipe(options.chunk ? { chunk: options.chunk } : {});
  const serve = async () => {
    await writeAll(theirs, concat(parts));
    if (options.hangUp) return theirs.close();
    const scrap = new Uint8Array(4096);
    while (await theirs.read(scrap) !== null);
    theirs.close();
  };
  serve().catch(() => {});
  return ours;
}
