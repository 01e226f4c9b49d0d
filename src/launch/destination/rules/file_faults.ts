/**
 * Why the files of a launch cannot be created or overwritten. Changes nothing.
 *
 * @module
 */
import { directoryOf, fileUsers, lookAt, type PathFacts } from "../../../host/mod.ts";
import type { ErrorCode } from "../../../migrate/mod.ts";
import type { LaunchCopy, LaunchImage, Params } from "../../../rpc/mod.ts";
import { createRefusal, placeRefusal, type Places } from "./allow.ts";
import { contentsOf } from "../describe/describe_files.ts";
import type { LaunchHost } from "../host.ts";
import type { LaunchTrust } from "../options.ts";

/** A reason to refuse a launch. */
export interface Fault {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Bytes that an image without data takes at most, by experience: qcow2's own tables. */
const EMPTY_BYTES = 1 << 20;

/** Finds them. */
export async function fileFaults(
  host: LaunchHost,
  trust: LaunchTrust,
  params: Params<"prepareLaunch">,
  places: Places,
): Promise<Fault[]> {
  const { images, copies, directories } = params;
  const created = [...images, ...copies];
  const looks = await lookAt(host.run, created.map(({ path }) => path));
  const faults = created.flatMap(({ path }, i) => obstaclesTo(host, path, looks[i]!));
  const writes = [...created, ...params.reuse].map(({ path }) => path);
  const refusals = writes.map((path) => createRefusal(trust, path, places));
  // A directory that exists is not changed by itself; the command line's own paths are judged elsewhere.
  const found = await lookAt(host.run, directories);
  const missing = directories.filter((_, i) => found[i]?.state === "missing");
  refusals.push(...missing.map((path) => placeRefusal(trust, path, "socket", places)));
  for (const message of refusals) {
    if (message !== undefined) faults.push({ code: "launch-not-allowed", message });
  }
  for (const { backing } of images) {
    if (backing === null) continue;
    const refusal = placeRefusal(trust, backing.path, "read", places);
    if (refusal !== undefined) faults.push({ code: "launch-not-allowed", message: refusal });
  }
  faults.push(...images.flatMap(imageFaults));
  faults.push(...roomFaults(created, looks));
  faults.push(...await directoryFaults(host, directories));
  faults.push(...await reuseFaults(host, params));
  return faults;
}

function obstaclesTo({ user }: LaunchHost, path: string, look: PathFacts): Fault[] {
  if (look.hidden) {
    const message = `${user.name} may not enter the directory of ${path} at the destination`;
    return [{ code: "image-not-created", message }];
  }
  if (look.state !== "missing") {
    const message =
      `${path} exists at the destination. Remove it, or allow to overwrite it (--reuse)`;
    return [{ code: "image-exists", message }];
  }
  if (path.startsWith("/dev/") && !/^\/dev\/(shm|hugepages)\//.test(path)) {
    const message = `The device ${path} is missing at the destination. Create it, and allow to ` +
      "overwrite it (--reuse)";
    return [{ code: "image-missing", message }];
  }
  return [];
}

function imageFaults({ path, format, backing, allocated }: LaunchImage): Fault[] {
  // Others have options of their own, or cannot be created at all.
  const isKnown = /^[a-z0-9]+$/.test(format);
  const message = !isKnown
    ? `"${format}" is no image format`
    : backing !== null && !/^[a-z0-9]+$/.test(backing.format)
    ? `"${backing.format}" is no image format`
    : backing !== null && format === "raw"
    ? `${path} is raw and cannot have a backing file`
    : allocated && format !== "raw"
    ? `${path} has format ${format}; only raw files are allocated as a whole`
    : undefined;
  return message === undefined ? [] : [{ code: "image-not-created", message }];
}

/** Free bytes of equal number are those of one file system. */
function roomFaults(
  created: readonly (LaunchImage | LaunchCopy)[],
  looks: readonly PathFacts[],
): Fault[] {
  const needs = new Map<number, { bytes: number; path: string }>();
  for (const [i, each] of created.entries()) {
    const free = looks[i]!.freeBytes;
    if (free === null) continue;
    const bytes = "channel" in each || each.allocated ? each.sizeBytes : EMPTY_BYTES;
    const before = needs.get(free)?.bytes ?? 0;
    needs.set(free, { bytes: before + bytes, path: each.path });
  }
  return [...needs].filter(([free, { bytes }]) => bytes > free).map(([free, { bytes, path }]) => ({
    code: "no-room",
    message:
      `The file system of ${path} has ${free} free bytes at the destination, and the guest's ` +
      `files need ${bytes} at once. Free some, or give another path with --map`,
  }));
}

async function directoryFaults(host: LaunchHost, directories: readonly string[]): Promise<Fault[]> {
  const looks = await lookAt(host.run, directories.map((path) => `${path}/.`));
  const there = await lookAt(host.run, directories);
  return directories.flatMap((path, i) => {
    if (there[i]!.state === "missing" || looks[i]!.state !== "missing") return [];
    const message = `${path} is no directory at the destination, and QEMU makes files in it`;
    return [{ code: "host-unfit", message } as const];
  });
}

async function reuseFaults(
  { run }: LaunchHost,
  { reuse }: Params<"prepareLaunch">,
): Promise<Fault[]> {
  const paths = reuse.map(({ path }) => path);
  const [looks, users] = await Promise.all([lookAt(run, paths), fileUsers(run, paths)]);
  const faults: Fault[] = [];
  for (const [i, path] of paths.entries()) {
    const look = looks[i]!;
    if (look.state !== "file" && look.state !== "block") {
      const message = `${path} is not at the destination, or is no file. Leave --reuse out for it`;
      faults.push({ code: "image-missing", message });
      continue;
    }
    const { locked } = await contentsOf(run, path, look);
    const user = users[i] ?? (locked ? "another process" : undefined);
    if (user === undefined) continue;
    const message =
      `${path} is in use at the destination by ${user}. End that, or give another path`;
    faults.push({ code: "image-in-use", message });
  }
  return faults;
}

/** The directories themselves and those above them that do not exist, the outermost first. */
export async function missingDirectories(
  host: LaunchHost,
  directories: readonly string[],
): Promise<string[]> {
  const found = new Set<string>();
  let level = [...new Set(directories)];
  while (level.length > 0) {
    const looks = await lookAt(host.run, level);
    const missing = level.filter((_, i) => looks[i]!.state === "missing");
    for (const path of missing) found.add(path);
    level = [...new Set(missing.map(directoryOf))].filter((path) =>
      path !== "/" && !found.has(path)
    );
  }
  return [...found].sort((a, b) => a.length - b.length);
}
