/**
 * QEMU's RAM blocks as HMP `info ramblock` prints them (since QEMU 2.8). The migration stream sends
 * RAM by block: the destination must have each block with the same name and size. Pure.
 *
 *     Block Name    PSize              Offset               Used              Total
 *         pc.ram    4 KiB  0x0000000000000000 0x0000000008000000 0x0000000008000000
 *
 * @module
 */

/** One RAM block. */
export interface RamBlock {
  /** Such as `pc.ram` or `/rom@etc/acpi/tables`. */
  readonly name: string;
  /** Bytes in use; a resizable block (its name begins with `/rom@`) can grow to {@link maxBytes}. */
  readonly usedBytes: number;
  /** Largest size, bytes. */
  readonly maxBytes: number;
}

const LINE = /^\s*(\S.*?)\s+\d+ [KMGT]?i?B\s+0x[0-9a-f]+\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)/i;

/** Parses the text of `info ramblock`; skips the heading. Never throws. */
export function parseRamBlocks(text: string): RamBlock[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const [, name, used, max] = LINE.exec(line) ?? [];
    if (name === undefined) return [];
    return [{ name, usedBytes: parseInt(used!, 16), maxBytes: parseInt(max!, 16) }];
  });
}

/**
 * Counts the queue pairs of each NIC, by its id, in the text of HMP `info network`, which has a line
 * with `type=nic` for each. Pure; never throws.
 */
export function parseNicQueues(text: string): Record<string, number> {
  const queues: Record<string, number> = {};
  for (const line of text.split(/\r?\n/)) {
    const name = /^(\S+): index=\d+,type=nic,/.exec(line)?.[1];
    if (name !== undefined) queues[name] = (queues[name] ?? 0) + 1;
  }
  return queues;
}
