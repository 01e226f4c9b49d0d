/**
 * The buffers of this host's UNIX sockets. QEMU writes its disks into such a socket at the source, vmferry does at the
 * destination: the smaller the buffer, the fewer bytes cross with each system call and each change of process.
 *
 * @module
 */
import { ProgramError, type RunProgram } from "../../host/mod.ts";
import { aboutSize } from "../../io/mod.ts";

const SETTING = "net.core.wmem_default";
const FILE = `/proc/sys/${SETTING.replaceAll(".", "/")}`;
/** Larger buffers gain nothing more (docs/operations.md, "UNIX sockets"), bytes. */
const ENOUGH = 2 << 20;
const READ_MS = 10_000;

/** The note of `check` about small buffers; none where the buffers are large or /proc is missing. */
export async function socketBufferNotes(run: RunProgram): Promise<string[]> {
  const has = await sizeOf(run);
  if (has === undefined || has >= ENOUGH) return [];
  return [
    `UNIX sockets of this host have buffers of ${
      aboutSize(has)
    } (${SETTING}). Disks cross faster ` +
    `with ${
      aboutSize(ENOUGH)
    }: 'sysctl -w ${SETTING}=${ENOUGH}', on both hosts, before the migration`,
  ];
}

async function sizeOf(run: RunProgram): Promise<number | undefined> {
  try {
    const { code, stdout } = await run(["cat", FILE], { timeoutMs: READ_MS });
    const bytes = Number.parseInt(stdout);
    return code === 0 && bytes > 0 ? bytes : undefined;
  } catch (error) {
    if (error instanceof ProgramError) return undefined;
    throw error;
  }
}
