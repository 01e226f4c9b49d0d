/**
 * Files that the content of an image names: QEMU opens them, too, and no option of the command line shows
 * them.
 *
 * @module
 */
import {
  type Access,
  imageInfoArguments,
  isPlainPath,
  type RunProgram,
} from "../../../host/mod.ts";
import { MigrationError } from "../../../migrate/mod.ts";
import type { LaunchStart, Params } from "../../../rpc/mod.ts";
import type { CommandPath } from "../../command/mod.ts";
import type { LaunchHost } from "../host.ts";
import type { LaunchTrust } from "../options.ts";
import { placeRefusal, resolvePaths } from "./allow.ts";
import { readStart } from "./arguments.ts";

/** How long a look into one image may take, ms. */
const LOOK_MS = 10_000;
/** Most images in a chain. */
const MAX_DEPTH = 64;
/** Formats with references. The command line chooses one of them, whatever the content looks like. */
const FORMATS = ["qcow2", "qcow", "qed", "vmdk"] as const;
/** Options whose paths are images. */
const IMAGES = /^(?:drive|blockdev|drive-file|cdrom|fd[ab]|hd[a-d]|mtdblock|sd|pflash)$/;

interface Reference {
  readonly path: string;
  readonly access: Access;
}

/**
 * Refuses images of a source from the network that lead to files which it may not use itself.
 *
 * @throws {MigrationError} kind `refused`, code `launch-not-allowed`.
 */
export async function refuseForeignImages(
  host: LaunchHost,
  trust: LaunchTrust,
  { start, params }: {
    readonly start: LaunchStart;
    readonly params: Pick<Params<"prepareLaunch">, "copies">;
  },
): Promise<void> {
  if (trust !== "network") return;
  for (const path of imagesOf(host, start, params)) await follow(host, trust, path, 0);
}

function imagesOf(
  { site }: LaunchHost,
  start: LaunchStart,
  { copies }: Pick<Params<"prepareLaunch">, "copies">,
): ReadonlySet<string> {
  // The command line of the destination itself decides whether a copy is an image.
  if (site) return new Set(copies.map(({ path }) => path));
  const read = readStart(start);
  if ("problems" in read) return new Set();
  return new Set(read.paths.filter(isImage).map(({ path }) => path));
}

function isImage({ option, kind }: CommandPath): boolean {
  return IMAGES.test(option) && (kind === "image" || kind === "read-only");
}

async function follow(
  host: LaunchHost,
  trust: LaunchTrust,
  path: string,
  depth: number,
): Promise<void> {
  const all = await Promise.all(FORMATS.map((format) => referencesOf(host.run, path, format)));
  for (const { path: at, access } of all.flat()) {
    if (!isPlainPath(at) || depth >= MAX_DEPTH) throw refusal(path, at);
    const places = await resolvePaths(host, [at]);
    if (placeRefusal(trust, at, access, places) !== undefined) throw refusal(path, at);
    await follow(host, trust, at, depth + 1);
  }
}

function refusal(path: string, at: string): MigrationError {
  const message = `A source from the network may not use ${path}: the image leads to ${at}. ` +
    "Start receive with --launch-any to allow it";
  return new MigrationError("refused", "launch-not-allowed", "destination", message);
}

async function referencesOf(
  run: RunProgram,
  path: string,
  format: string,
): Promise<Reference[]> {
  const { code, stdout } = await run(imageInfoArguments(path, format), { timeoutMs: LOOK_MS });
  // QEMU cannot open it in that format, either.
  return code === 0 ? referencesIn(JSON.parse(stdout), path) : [];
}

/**
 * The files that an image names, from the output of `qemu-img info --output=json`. Pure.
 *
 * @param path the image's own path.
 */
export function referencesIn(info: unknown, path: string): Reference[] {
  const members = Object(info);
  const data = Object(Object(members["format-specific"]).data);
  const extents: unknown[] = Array.isArray(data.extents) ? data.extents : [];
  const found: [unknown, Access][] = [
    [members["full-backing-filename"] ?? members["backing-filename"], "read"],
    [data["data-file"], "write"],
    ...extents.map((extent): [unknown, Access] => [Object(extent).filename, "write"]),
  ];
  return found.flatMap(([name, access]) =>
    typeof name === "string" && name !== path ? [{ path: name, access }] : []
  );
}
