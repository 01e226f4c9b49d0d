import type { BytePipe } from "../../io/mod.ts";
import { type DomainSourceHost, isSocketDir } from "../../domain/mod.ts";
import { parseLibvirtUri, socketCandidates } from "../../libvirt/mod.ts";
import { connectUnix, listenUnix } from "../../transport/mod.ts";
import { ownRuntimeDir } from "./domain_destination_host.ts";
import { runProgram, startProgram } from "./run_program.ts";

/** Where libvirt keeps the sockets of its QEMUs, and confinement lets QEMU reach them. */
const LIBVIRT_DIR = "/run/libvirt/qemu";
/** Where an ordinary user makes directories that QEMU reaches. */
const SHARED_DIR = "/tmp";
/** Others pass through, to sockets whose names they know, and see nothing. */
const PASSABLE = 0o711;

/** What the source of a domain's migration needs of this host. */
export function domainSourceHost(
  uri: string,
  own: (name: string) => string,
): Omit<DomainSourceHost, "journal"> {
  return {
    ...{ run: runProgram, start: startProgram, own, listen: listenUnix },
    socketDirs: socketDirs(uri),
    connectLibvirt: () => connectLibvirt(uri),
    makeDirectory: async (path) => {
      await Deno.mkdir(path, { mode: 0o700 });
      await Deno.chmod(path, PASSABLE);
    },
    removeDirectory: removeSocketDir,
  };
}

/** Directories for QEMU's sockets, best first. A QEMU of the session runs as this user. */
function socketDirs(uri: string): string[] {
  const uid = Deno.uid() ?? 0;
  const runtimeDir = ownRuntimeDir(uid);
  if (parseLibvirtUri(uri).mode === "session" && runtimeDir !== undefined) {
    return [`${runtimeDir}/libvirt/qemu`, SHARED_DIR];
  }
  return uid === 0 ? [LIBVIRT_DIR, SHARED_DIR] : [SHARED_DIR];
}

/** Removes a directory of QEMU's sockets. Tolerates one that is gone. */
export async function removeSocketDir(path: string): Promise<void> {
  if (!isSocketDir(path)) throw new Error(`${path} is no directory of vmferry`);
  const info = await Deno.lstat(path).catch(() => undefined);
  // Another user may have made something else in its place.
  if (!info?.isDirectory || info.uid !== Deno.uid()) return;
  await Deno.remove(path, { recursive: true });
}

/** Connects to the first daemon that answers. */
async function connectLibvirt(uri: string): Promise<BytePipe> {
  const user = { uid: Deno.uid() ?? 0, runtimeDir: Deno.env.get("XDG_RUNTIME_DIR") };
  let failure: unknown;
  for (const path of socketCandidates(parseLibvirtUri(uri), user)) {
    try {
      return await connectUnix(path);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
