/**
 * Changes in an image behind QEMU's back, and what `--verify` says of them.
 *
 * @module
 */
import type { GuestOptions, ImageFormat } from "../guest/mod.ts";
import type { Held, QmpGate } from "../support/qmp_gate.ts";
import type { Vmferry } from "../support/vmferry.ts";

/** A guest that writes few blocks: both ends compare all of them in the pause, however slow the host is. */
export const FEW_BLOCKS: Partial<GuestOptions> = {
  ring: { start: 2048, length: 1024, runId: 0x5eed_0001_0000_0001n },
};

/** `--verify`, with so long a pause that a slow host can read the pages of those blocks, too. */
export const VERIFY = ["--verify", "--max-downtime", "1000"];

/** A disk in the result of `--verify`. */
export interface Verified {
  readonly disk: string;
  readonly blocks: number;
  readonly seconds: number;
  readonly rootHash: string | null;
  readonly unproved: number;
  readonly differed: number;
}

/** What a migration has proved; nothing where it has not said so. */
export function verifiedBy(migrate: Vmferry): Verified[] {
  const result = migrate.events.entries.find((e) => e.event === "result");
  return result?.verify as Verified[] | undefined ?? [];
}

/**
 * Starts a migration with `--verify` and keeps it where both ends are about to be compared: the mirrors are
 * ready, so that they write no block again which the guest does not write.
 *
 * @param gate between vmferry and the source's QEMU.
 * @returns what `start` returned, and what to release.
 */
export async function heldAtComparison<T>(
  gate: QmpGate,
  start: () => T | Promise<T>,
): Promise<{ migrate: T; held: Held }> {
  // vmferry exports the disks before it copies them, too: the comparison's export is the next one after that.
  const mirroring = gate.hold("blockdev-mirror");
  const migrate = await start();
  await mirroring.arrived;
  const held = gate.hold("block-export-add");
  mirroring.release();
  await held.arrived;
  return { migrate, held };
}

/** Flips all bits of one byte of a file. */
export async function flipByte(path: string, at: number): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  await file.seek(at, Deno.SeekMode.Start);
  await file.read(byte);
  byte[0]! ^= 0xff;
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(byte);
}

/** The root hash of an image, as docs/reference/verify.md defines it. */
export async function imageRoot(path: string, format: ImageFormat): Promise<string> {
  const raw = `${path}.root`;
  const args = ["convert", "-U", "-f", format, "-O", "raw", path, raw];
  const { code, stderr } = await new Deno.Command("qemu-img", { args }).output();
  if (code !== 0) throw new Error(`qemu-img: ${new TextDecoder().decode(stderr)}`);
  const bytes = await Deno.readFile(raw);
  await Deno.remove(raw);
  const pages: Uint8Array[] = [];
  for (let page = 0; page < bytes.length; page += 1 << 24) {
    const blocks: Uint8Array[] = [];
    for (let at = page; at < Math.min(page + (1 << 24), bytes.length); at += 1 << 16) {
      const block = bytes.subarray(at, at + (1 << 16));
      blocks.push(block.every((byte) => byte === 0) ? new Uint8Array(32) : await sha256(block));
    }
    pages.push(await sha256(joined(blocks)));
  }
  return (await sha256(joined(pages))).toHex();
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource));
}

function joined(digests: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(digests.length * 32);
  digests.forEach((digest, i) => all.set(digest, i * 32));
  return all;
}
