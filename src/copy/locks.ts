/**
 * QEMU's locks on images.
 *
 * @module
 */
import type { CopyHost } from "./host.ts";

/** How long qemu-io may take to open an image, ms. */
const OPEN_MS = 10_000;

/** What QEMU says of an image that another process has locked (7.2 to 11.1). */
export const LOCKED = /Failed to get .*lock|Is another process using/;

/**
 * Whether a process such as a guest's QEMU keeps others from writing to an image. QEMU lets others read a raw image that a
 * guest writes to, so this opens it for writing, and writes nothing. Another failure to open it does not count.
 */
export async function isLocked({ run }: CopyHost, path: string): Promise<boolean> {
  const argv = ["qemu-io", "-f", "raw", "-c", "quit", "--", path];
  const { code, stdout, stderr } = await run(argv, { timeoutMs: OPEN_MS });
  return code !== 0 && LOCKED.test(`${stdout}${stderr}`);
}
