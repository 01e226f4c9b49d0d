import { project } from "../run.ts";

/** The Debian root image of `make guest`. */
export const ROOT_IMAGE: string = project(".tools/guest/root.raw");

const MIB = 1 << 20;

/**
 * Writes `bytes` of an image that are data, spread over all of its data: those blocks of 1 MiB that are not
 * mostly zeroes.
 */
export async function denseImage(from: string, to: string, bytes: number): Promise<void> {
  using source = await Deno.open(from);
  const block = new Uint8Array(MIB);
  const dense: number[] = [];
  const size = (await source.stat()).size;
  for (let at = 0; at + MIB <= size; at += MIB) {
    await readAt(source, at, block);
    if (zeroes(block) < 0.9) dense.push(at);
  }
  if (dense.length * MIB < bytes) throw new Error(`${from} has ${dense.length} MiB of data only`);
  using target = await Deno.open(to, { write: true, create: true });
  for (let i = 0; i < bytes / MIB; i++) {
    await readAt(source, dense[Math.floor(i * dense.length * MIB / bytes)]!, block);
    for (let done = 0; done < MIB;) done += await target.write(block.subarray(done));
  }
}

/** The share of zeroes, by a sample. */
function zeroes(block: Uint8Array): number {
  let [seen, zero] = [0, 0];
  for (let i = 0; i < block.length; i += 61, seen++) if (block[i] === 0) zero++;
  return zero / seen;
}

async function readAt(file: Deno.FsFile, at: number, into: Uint8Array): Promise<void> {
  await file.seek(at, Deno.SeekMode.Start);
  for (let done = 0; done < into.length;) {
    const n = await file.read(into.subarray(done));
    if (n === null) throw new Error("The image ended early");
    done += n;
  }
}
