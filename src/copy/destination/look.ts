/**
 * Everything that prevents a copy at the destination. Changes nothing.
 *
 * @module
 */
import {
  command,
  directoryOf,
  fileUsers,
  isAllowedPlace,
  isPlainPath,
  lookAt,
  type PathFacts,
} from "../../host/mod.ts";
import type { ErrorCode } from "../../migrate/mod.ts";
import type { CopyImage } from "../../rpc/mod.ts";
import type { CopyHost } from "../host.ts";
import { isLocked } from "../locks.ts";
import { type Base, findBase } from "./base.ts";
import type { CopyProblem } from "./problem.ts";
import { fileOf, misfit, partialPath, type PartialRecord, readRecord } from "./partial.ts";

/**
 * Who the source is: `login`, somebody with a login on this host; `network`, the owner of a ticket, a secret or a
 * certificate.
 */
export type CopyTrust = "login" | "network";

/** Where an image goes. */
export interface Target {
  /** What the source asked for. */
  readonly image: CopyImage;
  /** `image.path` with every symbolic link resolved. */
  readonly path: string;
  /** A block device is written in place; a file gets its name at the end. */
  readonly isDevice: boolean;
  /** A copy that was cut off, and that this one continues. */
  readonly continued: PartialRecord | undefined;
  /** What it holds already need not be sent. */
  readonly base: Base | undefined;
  /** Device and inode of what has the partial name; empty where nothing has. */
  readonly partial: string;
}

/** What was found. */
export interface Look {
  /** In the order of the request; empty with problems. */
  readonly targets: readonly Target[];
  readonly problems: readonly CopyProblem[];
  readonly warnings: readonly string[];
}

/** Looks at everything. */
export async function lookAtTargets(
  host: CopyHost,
  trust: CopyTrust,
  images: readonly CopyImage[],
  resume: boolean,
): Promise<Look> {
  const problems: CopyProblem[] = [];
  const warnings: string[] = [];
  const targets: Target[] = [];
  const problem = (code: ErrorCode, message: string) => void problems.push({ code, message });
  for (const { path, format } of images) {
    if (!isPlainPath(path)) problem("image-unfit", `"${path}" is no absolute path without ".."`);
    if (format !== "raw" && format !== "qcow2") {
      problem("image-unfit", `${path}: the format is ${format}, expected raw or qcow2`);
    }
  }
  if (problems.length > 0) return { targets, problems, warnings };
  const paths = await realPaths(host, images.map(({ path }) => path));
  if (new Set(paths).size < paths.length) {
    problem("image-exists", "Two images would have the same path. Give another with --map");
    return { targets, problems, warnings };
  }
  const partials = paths.map(partialPath);
  const looks = await lookAt(host.run, [...paths, ...partials]);
  const users = await fileUsers(host.run, [...paths, ...partials]);
  const room = new Map<string, { needed: number; free: number }>();
  for (const [i, image] of images.entries()) {
    const path = paths[i]!;
    const [look, partial] = [looks[i]!, looks[images.length + i]!];
    const [user, writer] = [users[i], users[images.length + i]];
    if (trust === "network" && !isAllowedPlace(path, "write", host.home)) {
      problem(
        "launch-not-allowed",
        `A source from the network may not write to ${path}: ${
          directoryOf(path)
        } belongs to the host. ` +
          "Give another directory with --map, or copy to ssh://",
      );
      continue;
    }
    const found = await faultOf(host, image, path, look, user) ??
      (writer && { code: "image-in-use" as const, message: `${writer} copies to ${path} already` });
    if (found) {
      problem(found.code, found.message);
      continue;
    }
    const isDevice = look.state === "block";
    let continued: PartialRecord | undefined;
    if (resume && !isDevice) {
      const record = partial.state === "file" ? await readRecord(host, path) : undefined;
      const why = record && misfit(record, image, fileOf(partial));
      if (why === undefined) continued = record;
      else warnings.push(`${path} is copied from the start: ${why}`);
    } else if (resume) {
      warnings.push(`${path} is copied from the start: it is a block device`);
    }
    let base: Base | undefined;
    if (image.delta && image.reuse && !continued) {
      const search = await findBase(host, image, path, look, partial);
      if (search.problem) problems.push(search.problem);
      if (search.warning !== undefined) warnings.push(search.warning);
      base = search.base;
    }
    // Nobody knows how much room the differences take.
    if (!isDevice && !continued && !base && look.freeBytes !== null) {
      const old = partial.state === "file" ? await bytesIn(host, partialPath(path)) : 0;
      const at = room.get(directoryOf(path)) ?? { needed: 0, free: look.freeBytes };
      at.needed += image.dataBytes - old;
      room.set(directoryOf(path), at);
    }
    targets.push({ image, path, isDevice, continued, base, partial: fileOf(partial) });
  }
  if (resume && warnings.length === 0 && !targets.some(({ continued }) => continued)) {
    warnings.push("No copy was cut off at the destination: everything is copied from the start");
  }
  for (const [directory, { needed, free }] of room) {
    if (needed <= free) continue;
    problem(
      "no-room",
      `${directory} has ${free} bytes left, the images need ${needed}. Make room, or give another ` +
        "directory with --map",
    );
  }
  return problems.length > 0
    ? { targets: [], problems, warnings }
    : { targets, problems, warnings };
}

async function faultOf(
  host: CopyHost,
  { path: asked, format, sizeBytes, reuse }: CopyImage,
  path: string,
  look: PathFacts,
  user: string | undefined,
): Promise<CopyProblem | undefined> {
  const reuseIt = `Give --reuse ${asked} to replace it, or another path with --map`;
  if (look.hidden) {
    return {
      code: "image-not-created",
      message: `This user may not enter the directory of ${path}`,
    };
  }
  if (look.state === "missing") {
    if (!look.directory || path.startsWith("/dev/") && !path.startsWith("/dev/shm/")) {
      const what = look.directory ? `The block device ${path}` : `The directory of ${path}`;
      const message = `${what} does not exist. Create it, or give another path with --map`;
      return { code: "image-not-created", message };
    }
    return undefined;
  }
  if (look.state === "other") {
    return { code: "image-unfit", message: `${path} is neither a file nor a block device` };
  }
  if (user !== undefined) {
    return { code: "image-in-use", message: `${path} is in use by ${user}. End that first` };
  }
  if (!reuse) return { code: "image-exists", message: `${path} exists already. ${reuseIt}` };
  if (await isLocked(host, path)) {
    const message = `A process such as a QEMU has locked ${path}. End it first`;
    return { code: "image-in-use", message };
  }
  if (look.state === "file") return undefined;
  if (format !== "raw") {
    const message = `${path} is a block device, which takes raw images only, not ${format}`;
    return { code: "image-unfit", message };
  }
  const bytes = Number(await command(host.run, ["blockdev", "--getsize64", path]));
  if (bytes >= sizeBytes) return undefined;
  const message = `${path} has ${bytes} bytes, the source's image ${sizeBytes}. Enlarge it first`;
  return { code: "image-unfit", message };
}

async function realPaths({ run }: CopyHost, paths: readonly string[]): Promise<string[]> {
  const text = await command(run, ["realpath", "-mz", "--", ...paths]);
  return text.split("\0").slice(0, paths.length);
}

/** Bytes that a file takes in its file system. */
export async function bytesIn({ run }: CopyHost, path: string): Promise<number> {
  const text = await command(run, ["stat", "-L", "-c", "%b %B", "--", path]);
  const [blocks = 0, blockBytes = 0] = text.split(" ").map(Number);
  return blocks * blockBytes;
}
