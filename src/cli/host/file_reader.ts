import type { FileReader } from "../../domain/mod.ts";

/** Files of this host, as the check of a domain reads them. */
export const fileReader: FileReader = {
  readText: (path) => Deno.readTextFile(path),
  length: async (path) => {
    const { isFile, size } = await Deno.stat(path);
    return isFile ? size : null;
  },
  read: readAt,
};

async function readAt(path: string, offset: number, length: number): Promise<Uint8Array> {
  using file = await Deno.open(path);
  await file.seek(offset, Deno.SeekMode.Start);
  const buffer = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const n = await file.read(buffer.subarray(done));
    if (n === null) break;
    done += n;
  }
  return buffer.subarray(0, done);
}
