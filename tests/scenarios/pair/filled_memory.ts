/** What fills a page: anything but zeros, of which QEMU sends 9 bytes for each page. */
const FILLING = 0xa5;
/** The most that `crypto.getRandomValues` fills at once, bytes. */
const RANDOM_PART = 65536;
const MiB = 1024 * 1024;
/** Below this are the guest's program and the pages that it changes, MiB: they are zero at first. */
const FIRST = 20;

/** Arguments of both QEMUs of a pair. */
export interface MemoryArguments {
  readonly source: readonly string[];
  readonly destination: readonly string[];
}

/**
 * A guest whose memory is in use, as a server's is that has been running for a while.
 *
 * @param path of a file that is made, and is the guest's memory at the source.
 * @param mib the guest's memory, MiB.
 * @param random no two pages are the same, and none can be compressed.
 */
export async function filledMemory(
  path: string,
  mib = 128,
  random = false,
): Promise<MemoryArguments> {
  using file = await Deno.open(path, { create: true, truncate: true, write: true });
  await file.truncate(mib * MiB);
  const filling = new Uint8Array(MiB).fill(FILLING);
  await file.seek(FIRST * MiB, Deno.SeekMode.Start);
  for (let at = FIRST; at < mib; at++) {
    for (let part = 0; random && part < MiB; part += RANDOM_PART) {
      crypto.getRandomValues(filling.subarray(part, part + RANDOM_PART));
    }
    for (let done = 0; done < MiB;) done += await file.write(filling.subarray(done));
  }
  const machine = ["-machine", "memory-backend=memory"];
  const size = `id=memory,size=${mib}M`;
  return {
    source: ["-object", `memory-backend-file,${size},share=on,mem-path=${path}`, ...machine],
    destination: ["-object", `memory-backend-ram,${size}`, ...machine],
  };
}
