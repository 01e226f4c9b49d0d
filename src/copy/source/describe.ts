/**
 * The images of a copy at the source, and everything that prevents their copy. Changes nothing.
 *
 * @module
 */
import { encodeHex } from "@std/encoding/hex";
import {
  command,
  fileUsers,
  type ImageInfo,
  imageInfoArguments,
  lookAt,
  parseImageInfo,
} from "../../host/mod.ts";
import { messageOf } from "../../io/mod.ts";
import type { CodedProblem, ErrorCode, WarningCode } from "../../migrate/mod.ts";
import type { CopyHost } from "../host.ts";
import { isLocked, LOCKED } from "../locks.ts";

/** How long qemu-img may take to look into an image, ms. */
const LOOK_MS = 20_000;

/** An image that can be copied. */
export interface SourceImage {
  /** Absolute path, with symbolic links resolved. */
  readonly path: string;
  /** Its facts. */
  readonly info: ImageInfo;
  /** Its file and those of the images below it; some may be devices or URLs. */
  readonly files: readonly string[];
  /** Permission bits. */
  readonly mode: number;
  /** Owner and group, by name; `null` where they have none. */
  readonly owner: { readonly user: string; readonly group: string } | null;
  /** Names it and the last change of it and the images below it; empty where that is not known. */
  readonly identity: string;
}

/** What was found. */
export interface Described {
  /** In the order of the paths; empty with problems. */
  readonly images: readonly SourceImage[];
  readonly problems: readonly CodedProblem[];
  /** What does not cross, or may go wrong. */
  readonly warnings: readonly { readonly code: WarningCode; readonly message: string }[];
}

/**
 * Looks at the images.
 *
 * @param paths absolute.
 * @param format of all images; `undefined`: what their contents look like.
 */
export async function describeImages(
  host: CopyHost,
  paths: readonly string[],
  format: string | undefined,
): Promise<Described> {
  const images: SourceImage[] = [];
  const problems: CodedProblem[] = [];
  const warnings: { code: WarningCode; message: string }[] = [];
  const inUse = (path: string, user: string | undefined) => {
    const who = user ?? "a process that has locked it, such as a QEMU";
    const message =
      `${path} is in use by ${who}. Shut the guest off first, or move it while it runs: ` +
      "vmferry migrate";
    problem("image-in-use", message);
  };
  const problem = (code: ErrorCode, message: string) =>
    void problems.push({ code, side: "source", message });
  const looks = await lookAt(host.run, paths);
  const users = await fileUsers(host.run, paths);
  for (const [i, path] of paths.entries()) {
    const { state, hidden } = looks[i]!;
    if (state !== "file" && state !== "block") {
      const what = hidden
        ? "this user may not enter its directory"
        : state === "missing"
        ? "it does not exist"
        : "it is neither a file nor a block device";
      problem("image-missing", `${path}: ${what}`);
      continue;
    }
    const argv = imageInfoArguments(path, format ?? null).filter((word) => word !== "-U");
    const { code, stdout, stderr } = await host.run(argv, { timeoutMs: LOOK_MS });
    if (code !== 0) {
      if (LOCKED.test(stderr)) inUse(path, users[i]);
      else problem("image-unfit", `${path}: ${stderr.trim().replace(/^qemu-img: /, "")}`);
      continue;
    }
    try {
      const info = parseImageInfo(stdout);
      if (info.format === "raw" && await isLocked(host, path)) {
        inUse(path, users[i]);
        continue;
      }
      // Not every program locks what it writes to, and not every one that has it open writes.
      if (users[i] !== undefined) {
        const message = `${path} is open in ${users[i]}: the copy is broken if that writes to it`;
        warnings.push({ code: "copy", message });
      }
      const unfit = unfitness(info);
      if (unfit !== undefined) problem("image-unfit", `${path} cannot be copied: ${unfit}`);
      const losses = lossesOf(path, info, stdout);
      warnings.push(...losses.map((message) => ({ code: "stays-behind" as const, message })));
      const files = await filesOf(host, path, info);
      images.push({
        ...{ path, info, files },
        ...await ownership(host, path),
        identity: await identityOf(host, files, info),
      });
    } catch (error) {
      // One of the images below it.
      if (LOCKED.test(messageOf(error))) inUse(path, users[i]);
      else problem("image-unfit", `${path}: ${messageOf(error)}`);
    }
  }
  return problems.length > 0 ? { images: [], problems, warnings } : { images, problems, warnings };
}

function unfitness({ format, encrypted, dataFile }: ImageInfo): string | undefined {
  if (encrypted || format === "luks") return "it is encrypted";
  if (format !== "raw" && format !== "qcow2") return `it is ${format}, expected raw or qcow2`;
  return dataFile === null ? undefined : `its data lies in a second file, ${dataFile}`;
}

/** What the new image will not have. */
function lossesOf(path: string, { backing }: ImageInfo, json: string): string[] {
  const info = JSON.parse(json) as {
    snapshots?: unknown[];
    "format-specific"?: { data?: { bitmaps?: unknown[] } };
  };
  const snapshots = info.snapshots?.length ?? 0;
  const bitmaps = info["format-specific"]?.data?.bitmaps?.length ?? 0;
  return [
    ...(backing
      ? [`${path} arrives as one image, with the contents of ${backing.path} below it`]
      : []),
    ...(snapshots > 0 ? [`${path}: its ${snapshots} internal snapshots stay behind`] : []),
    ...(bitmaps > 0 ? [`${path}: its ${bitmaps} bitmaps stay behind`] : []),
  ];
}

async function ownership(
  { run }: CopyHost,
  path: string,
): Promise<Pick<SourceImage, "mode" | "owner">> {
  const text = await command(run, ["stat", "-L", "-c", "%a %U %G %F", "--", path]);
  const [mode = "", user = "", group = "", ...kind] = text.trim().split(" ");
  // The mode and owner of a device are those of its node.
  if (kind.join(" ").startsWith("block")) return { mode: 0o600, owner: null };
  const isNamed = user !== "UNKNOWN" && group !== "UNKNOWN";
  return { mode: parseInt(mode, 8) & 0o777, owner: isNamed ? { user, group } : null };
}

/** The file of an image and those of the images below it. */
async function filesOf({ run }: CopyHost, path: string, info: ImageInfo): Promise<string[]> {
  if (!info.backing) return [path];
  const argv = ["qemu-img", "info", "--output=json", "--backing-chain", "-f", info.format];
  const chain = JSON.parse(await command(run, [...argv, "--", path], LOOK_MS)) as unknown;
  return (Array.isArray(chain) ? chain : []).map((each) => String(each?.filename));
}

/** A hash of what changes when one of the files is written to or replaced. */
async function identityOf(
  host: CopyHost,
  files: readonly string[],
  info: ImageInfo,
): Promise<string> {
  // Of what is no file, such as a device or a URL, nobody knows when it was written to.
  const script =
    'for f do [ -f "$f" ] || exit 3; stat -L -c "%n %d %i %s %y %z" -- "$f" || exit 3; done';
  const { code, stdout } = await host.run(["sh", "-c", script, "sh", ...files], {
    timeoutMs: LOOK_MS,
  });
  if (code !== 0) return "";
  const text = `${info.format} ${info.virtualSize}\n${stdout}`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return encodeHex(new Uint8Array(digest));
}
