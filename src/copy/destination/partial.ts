/**
 * An image that has not arrived as a whole: a file with a name of its own, and a record beside it that says how far
 * the copy is. A later copy continues with both.
 *
 * @module
 */
import { command, CommandError, directoryOf, nameOf, type PathFacts } from "../../host/mod.ts";
import { messageOf } from "../../io/mod.ts";
import { type CopyImage, schema } from "../../rpc/mod.ts";
import type { CopyHost } from "../host.ts";

const recordShape = schema.object({
  /** 2 with a base, for ends that know no bases. */
  version: schema.integer(1, 2),
  /** As the source names its image and its last change. */
  identity: schema.text(128),
  /** Device and inode of the partial image. */
  file: schema.text(64),
  format: schema.text(64),
  sizeBytes: schema.integer(),
  /** Everything before it is on stable storage. */
  doneBytes: schema.integer(),
  /** It began with the contents of an older image: where nothing has arrived, it holds no zeroes. */
  base: schema.nullable(schema.flag),
});

/** How long reading or writing a record may take, ms: it is on stable storage then. */
const RECORD_MS = 30_000;

/** Prints a record (`$1`) of this user. vmferry itself may not write to every directory, such as /dev/shm. */
const READ = '[ -f "$1" ] && [ -O "$1" ] && ! [ -L "$1" ] && head -c 65536 -- "$1"';

/** Replaces a record (`$1`) as a whole. Another user may own the directory: a link in it is not followed. */
const WRITE = `
umask 077
rm -f -- "$1.new" && set -C && cat >"$1.new" && sync -- "$1.new" && mv -fT -- "$1.new" "$1" ||
  { rm -f -- "$1.new"; exit 1; }
`;

/** Removes a partial image (`$1`) with this device and inode (`$2`), and its record. */
const REMOVE = `
if [ -e "$1" ] || [ -L "$1" ]; then
  [ "$(stat -c '%d %i' -- "$1")" = "$2" ] || { echo "another copy has made $1" >&2; exit 1; }
fi
rm -f -- "$1" "$1.json" "$1.json.new"
`;

/** What is known of a partial image. */
export type PartialRecord = schema.TypeOf<typeof recordShape>;

/** Name of the image at `path` while it arrives. */
export function partialPath(path: string): string {
  const directory = directoryOf(path);
  return `${directory === "/" ? "" : directory}/.${nameOf(path)}.vmferry-copy`;
}

/** The record beside it. */
export function recordPath(path: string): string {
  return `${partialPath(path)}.json`;
}

/** Reads the record of the image at `path`; `undefined` where there is none that can be used. */
export async function readRecord(
  host: CopyHost,
  path: string,
): Promise<PartialRecord | undefined> {
  const argv = ["sh", "-c", READ, "sh", recordPath(path)];
  const { code, stdout: text } = await host.run(argv, { timeoutMs: RECORD_MS });
  if (code !== 0) return undefined;
  try {
    return recordShape(JSON.parse(text), "record");
  } catch (error) {
    host.log.log("info", `${recordPath(path)} is not used: ${messageOf(error)}`);
    return undefined;
  }
}

/** Writes it down. */
export async function writeRecord(
  host: CopyHost,
  path: string,
  record: PartialRecord,
): Promise<void> {
  const argv = ["sh", "-c", WRITE, "sh", recordPath(path)];
  const input = `${JSON.stringify(record)}\n`;
  const { code, stderr } = await host.run(argv, { timeoutMs: RECORD_MS, input });
  if (code !== 0) throw new CommandError(stderr.trim() || `${recordPath(path)} cannot be written`);
}

/** Device and inode, as `stat -c '%d %i'` prints them. */
export function fileOf({ identity }: PathFacts): string {
  return (identity ?? "").split(" ").slice(0, 2).join(" ");
}

/**
 * Removes the partial image and its record.
 *
 * @param file device and inode of the partial image; empty where there is none.
 * @throws {CommandError} when another file is there, such as one that another copy has made; it stays.
 */
export async function removePartial(host: CopyHost, path: string, file: string): Promise<void> {
  await command(host.run, ["sh", "-c", REMOVE, "sh", partialPath(path), file]);
}

/**
 * Why a copy does not continue with a partial image; `undefined`: it does.
 *
 * @param file device and inode of the partial image.
 */
export function misfit(
  record: PartialRecord,
  image: CopyImage,
  file: string,
): string | undefined {
  if (record.file !== file) return "no copy of it was cut off there";
  if (image.identity === "") {
    return "the source's image is a block device, whose changes vmferry cannot see";
  }
  if (record.identity !== image.identity) return "the source's image has changed since";
  if (record.format !== image.format || record.sizeBytes !== image.sizeBytes) {
    return "the source's image has another format or size";
  }
  return undefined;
}
