import { sh } from "../../support/sh.ts";
import type { Image } from "../guest/mod.ts";

const KiB = 1024;

/**
 * Makes an image that a migration a day ago may have left: as the source's, which is in use, but for some blocks.
 * Some of them hold what the source's has deleted since, some are holes, some differ in one byte.
 *
 * @param bytes size of the disk.
 */
export async function makeOldCopy(to: Image, from: Image, bytes: number): Promise<void> {
  await sh("qemu-img", ...[
    "convert",
    "-U",
    "-f",
    from.format,
    "-O",
    to.format,
    from.path,
    to.path,
  ]);
  const commands: string[] = [];
  for (let i = 1; i <= 8; i++) {
    const at = Math.floor(bytes * i / 9 / (64 * KiB)) * 64 * KiB;
    commands.push(`write -P ${i} ${at} 64k`, `write -z ${at + 128 * KiB} 64k`);
    commands.push(`write -P 7 ${at + 256 * KiB + i} 1`);
  }
  // Behind what the source has allocated, if it is thin.
  commands.push(`write -P 9 ${bytes - 192 * KiB} 128k`);
  const each = commands.flatMap((command) => ["-c", command]);
  await sh("qemu-io", "-f", to.format, ...each, to.path);
}
