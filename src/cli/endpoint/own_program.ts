/**
 * The file of this program, for a host that does not have it.
 *
 * @module
 */
import { encodeHex } from "@std/encoding/hex";
import { InputError, type OwnFile, type OwnProgram } from "../../transport/mod.ts";
import { ownPath } from "../own_command.ts";
import { buildKind, VERSION } from "../version.ts";

/** What `uname -m` calls the processors that Deno runs on. */
const MACHINES: Readonly<Record<typeof Deno.build.arch, readonly string[]>> = {
  x86_64: ["x86_64", "amd64"],
  aarch64: ["aarch64", "arm64"],
};

/** This program. */
export function ownProgram(): OwnProgram {
  return { version: VERSION, machines: MACHINES[Deno.build.arch], read: readOwnFile };
}

async function readOwnFile(): Promise<OwnFile> {
  switch (buildKind()) {
    case "compiled":
      return await runningFile();
    case "packed":
      return await packedFile(ownPath(), Deno.execPath());
    case "source":
      throw new InputError("it runs from its sources");
  }
}

/**
 * A compiled program's file, also after another one took its place: /proc leads to the file that runs.
 * The program itself may not read there, but the shell that it starts may.
 */
export async function runningFile(): Promise<OwnFile> {
  const { success, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", 'exec cat "/proc/$1/exe"', "sh", String(Deno.pid)],
    stdin: "null",
  }).output();
  if (!success) throw new InputError(`its file can't be read: ${decoded(stderr)}`);
  return { bytes: stdout, roomBytes: stdout.length };
}

/**
 * A packed program's file.
 *
 * @param path where the script in front of the archive says it is.
 * @param deno the unpacked Deno, in a directory that is named after the SHA-256 of the archive.
 * @throws {InputError} when it can't be read, or is another one than the one that was started.
 */
export async function packedFile(path: string, deno: string): Promise<OwnFile> {
  if (path === "") throw new InputError("it was not started by its file");
  let bytes: Uint8Array<ArrayBuffer>;
  let unpacked: number;
  try {
    bytes = await Deno.readFile(path);
    const files = [deno, `${deno.slice(0, deno.lastIndexOf("/"))}/vmferry.js`];
    unpacked = files.reduce((sum, file) => sum + Deno.statSync(file).size, 0);
  } catch (error) {
    throw new InputError(`its file can't be read: ${(error as Error).message}`);
  }
  const archive = bytes.subarray(archiveStart(bytes));
  const hash = encodeHex(new Uint8Array(await crypto.subtle.digest("SHA-256", archive)));
  const id = deno.split("/").at(-2) ?? "";
  if (id.length !== ID_LENGTH || !hash.startsWith(id)) {
    throw new InputError(`the file that it was started from, ${path}, has been replaced since`);
  }
  return { bytes, roomBytes: bytes.length + unpacked };
}

/** Letters of the SHA-256 in the name of the directory; tools/pack.ts writes as many. */
const ID_LENGTH = 32;
/** The last line of tools/stub.sh. */
const LAST_LINE = "\nexit 1\n";
/** The first byte of a file of gzip. */
const GZIP = "\x1f";

function archiveStart(bytes: Uint8Array): number {
  // The script is text and is short.
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 16 * 1024));
  const at = head.indexOf(LAST_LINE + GZIP);
  return at < 0 ? bytes.length : at + LAST_LINE.length;
}

function decoded(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).trim();
}
