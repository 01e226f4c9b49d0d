/**
 * What QEMU itself makes: sockets and files of its command line.
 *
 * @module
 */
import { lookAt } from "../../../host/mod.ts";
import type { LaunchStart } from "../../../rpc/mod.ts";
import type { CommandPath } from "../../command/mod.ts";
import { MigrationError } from "../../../migrate/mod.ts";
import { readStart, type StartCommand } from "./arguments.ts";
import type { Fault } from "./file_faults.ts";
import type { LaunchHost } from "../host.ts";
import type { MadeRecord } from "../record.ts";

/**
 * Existing files where QEMU makes its own. QEMU would take the socket of another QEMU away, and empty an
 * existing log; and nothing could give them back after a failure.
 */
export async function socketFaults(
  host: LaunchHost,
  command: StartCommand,
  { qmp }: LaunchStart,
): Promise<Fault[]> {
  const found: Fault[] = [];
  const paths = ownPaths(command);
  const looks = await lookAt(host.run, paths.map(({ path }) => path));
  for (const [i, { path, kind }] of paths.entries()) {
    const { state, bytes } = looks[i]!;
    if (state === "missing") continue;
    if (kind === "socket") {
      const isServed = await isServedAt(host, path);
      const what = path === qmp ? "the QMP socket" : "a socket";
      const message = isServed
        ? `A process serves ${what} ${path} at the destination already: end it, or give another ` +
          "path with --map"
        : `${path} exists at the destination, where QEMU makes ${what}. Remove it, or give another ` +
          "path with --map";
      found.push({ code: "socket-in-use", message });
    } else if (bytes !== null && bytes > 0) {
      const message =
        `${path} exists at the destination, and QEMU would overwrite it. Move it away, ` +
        "or give another path with --map";
      found.push({ code: "image-exists", message });
    }
  }
  return found;
}

/**
 * Looks again, right before the start.
 *
 * @throws {MigrationError} kind `refused`, as {@link socketFaults} says.
 */
export async function refuseTakenSockets(host: LaunchHost, start: LaunchStart): Promise<void> {
  const read = readStart(start);
  const faults = "problems" in read ? [] : await socketFaults(host, read, start);
  if (faults.length === 0) return;
  const problems = faults.map(({ message }) => message);
  const { code } = faults[0]!;
  throw new MigrationError("refused", code, "destination", problems.join("; "), { problems });
}

/** The paths at which QEMU makes sockets and files. */
export function madePaths(command: StartCommand): string[] {
  return [...new Set(ownPaths(command).map(({ path }) => path))];
}

/** The records of what QEMU will make at these paths. */
export async function madeByQemu(
  host: LaunchHost,
  paths: readonly string[],
): Promise<MadeRecord[]> {
  const looks = await lookAt(host.run, paths);
  return paths.filter((_, i) => looks[i]!.state === "missing").map((path) => ({
    ...{ kind: "by-qemu", path, temporary: null, begunAt: null, identity: null },
  }));
}

function ownPaths({ paths }: StartCommand): CommandPath[] {
  return paths.filter(({ kind, connects, retries, path }) =>
    path.startsWith("/") && (kind === "output" || kind === "socket" && !connects && !retries)
  );
}

async function isServedAt({ connectUnix }: LaunchHost, path: string): Promise<boolean> {
  try {
    (await connectUnix(path)).close();
    return true;
  } catch {
    return false;
  }
}
