/**
 * What a source may have this end do (docs/security.md). Starting a QEMU that the other end describes is
 * running a program of its choice: a login may do that already, a ticket or a certificate may not.
 *
 * @module
 */
import { type Access, command, directoryOf, isAllowedPlace } from "../../../host/mod.ts";
import type { LaunchHost } from "../host.ts";
import type { LaunchTrust } from "../options.ts";

/** Binaries that a source from the network may have started, by their names in PATH. */
const BINARY = /^qemu-system-[a-z0-9_]+$/;

/** Variables of the environment that have QEMU load no code and read no file. */
const VARIABLE = /^(?:TZ|LANG|LC_[A-Z]+|QEMU_AUDIO_[A-Z_]+)$/;

/** Names that sh and `env` take for variables. */
const ANY_VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Paths with every symbolic link on their way resolved; a path that this end cannot resolve is missing. */
export interface Places {
  /** Resolved paths by the paths as they were given. */
  readonly real: ReadonlyMap<string, string>;
  /** This user's home directory, resolved. */
  readonly home: string | undefined;
}

/** Resolves paths; missing names stay as they are. */
export async function resolvePaths(host: LaunchHost, paths: readonly string[]): Promise<Places> {
  const all = [...paths, ...(host.home === undefined ? [] : [host.home])];
  const real = new Map<string, string>();
  if (all.length > 0) {
    const text = await command(host.run, ["realpath", "-mz", "--", ...all]);
    const resolved = text.split("\0");
    all.forEach((path, i) => real.set(path, resolved[i] ?? ""));
  }
  return { real, home: host.home === undefined ? undefined : real.get(host.home) };
}

/** Why the source may not have this binary started; `undefined`: it may. */
export function binaryRefusal(trust: LaunchTrust, name: string): string | undefined {
  if (trust !== "network" || BINARY.test(name)) return undefined;
  return `The destination starts only qemu-system-* for a source from the network, not "${name}". ` +
    "Start receive with --launch-any to allow any binary";
}

/** Why a file may not be created or written to at this path; `undefined`: it may. */
export function createRefusal(
  trust: LaunchTrust,
  path: string,
  places: Places,
): string | undefined {
  return placeRefusal(trust, path, "write", places);
}

/** Why a path may not be used in this way; `undefined`: it may. */
export function placeRefusal(
  trust: LaunchTrust,
  path: string,
  access: Access,
  { real, home }: Places,
): string | undefined {
  if (trust !== "network") return undefined;
  const resolved = real.get(path);
  if (resolved !== undefined && isAllowedPlace(resolved, access, home)) return undefined;
  const where = resolved === undefined || resolved === path ? path : `${path} (${resolved})`;
  const verb = access === "read" ? "read" : "written";
  return `A source from the network may not have ${where} ${verb}: ${
    directoryOf(path)
  } belongs to ` +
    "the host. Map it to another directory with --map, or start receive with --launch-any";
}

/**
 * QEMU's working directory. QEMU looks for a bare name of a file in it first, so that a source from the network
 * gets the root directory in place of one of the host.
 */
export function confinedDirectory(trust: LaunchTrust, cwd: string, places: Places): string {
  return placeRefusal(trust, cwd, "write", places) === undefined ? cwd : "/";
}

/** Why the environment of QEMU is refused, a sentence each. */
export function environmentRefusals(
  trust: LaunchTrust,
  environment: Readonly<Record<string, string>>,
): string[] {
  return Object.keys(environment).flatMap((name) => {
    if (!ANY_VARIABLE.test(name)) return [`"${name}" is no name of an environment variable`];
    if (trust !== "network" || VARIABLE.test(name)) return [];
    return [
      `A source from the network may not set the environment variable ${name}. Start receive with ` +
      "--launch-any to allow it",
    ];
  });
}
