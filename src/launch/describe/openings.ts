/**
 * Which option of the command line opens which disk's image. Pure.
 *
 * @module
 */
import { fieldOf } from "../command/mod.ts";
import { absolute, backingOf, chainOf, LOCAL } from "./block_chain.ts";
import { autoNames } from "./auto_names.ts";
import type { Given, GivenOptions } from "./given.ts";
import type { MachineState } from "./machine_state.ts";

/** Options that are an image without more, such as `-cdrom PATH`. */
const SHORT = /^(hd[abcd]|fd[ab]|cdrom|sd|mtdblock|pflash|drive-file)$/;
/** Keys of -drive and -blockdev with the image's path. */
const PATHS = /^(file\.)*filename$|^file$/;

/** An image in the command line. */
export interface Opening {
  /** Index of the option that the device names: the one with the image's format. */
  readonly root: number;
  /** The option that has the path, or would have it. */
  readonly given: Given;
  /** The key of the path; empty for `-cdrom PATH`. */
  readonly key: string;
  /** Absolute; `null` for a drive without a medium, and where {@link opaque}. */
  readonly path: string | null;
  /** The image is given by a protocol or in JSON. */
  readonly opaque: boolean;
  /** As given; `null` where QEMU probes it. */
  readonly format: string | null;
}

/** The opening of each disk, by its name; those that no option seems to open are missing. */
export function openingsOf(
  state: Pick<MachineState, "blocks" | "disks" | "graph" | "machineType">,
  given: GivenOptions,
  cwd: string,
): Map<string, Opening> {
  const found = new Map<string, Opening>();
  const open = candidates(given, cwd);
  const automatic = new Map(
    [...autoNames(given.all, state.machineType)].map(([index, name]) => [name, index]),
  );
  for (const disk of state.disks) {
    const drive = given.devices.get(disk.name);
    const block = state.blocks.find((b) =>
      b.inserted
        ? b.inserted["node-name"] === disk.nodeName
        : b.device !== "" && b.device === disk.name
    );
    const names = [drive && fieldOf(drive.value, "drive"), block?.device, disk.name];
    const auto = open.find((o) => o.given.index === automatic.get(block?.device ?? ""));
    const named = auto ??
      names.map((name) => name && openingNamed(name, given, cwd)).find((o) => o);
    const opening = named || byPath(disk.nodeName, state, open, cwd);
    if (opening) found.set(disk.name, opening);
  }
  return found;
}

function openingNamed(name: string, given: GivenOptions, cwd: string): Opening | undefined {
  const drive = given.drives.get(name);
  if (drive) return openingIn(drive, given, cwd);
  const node = given.nodes.get(name);
  return node && openingIn(node, given, cwd);
}

/** Follows `file=NODE` to the -blockdev with the path. */
function openingIn(at: Given, given: GivenOptions, cwd: string): Opening {
  const { option, fields } = at.value;
  const driver = fieldOf(at.value, option.name === "drive" ? "format" : "driver") ?? null;
  const format = driver !== null && LOCAL.has(driver) ? "raw" : driver;
  let holder = at;
  for (let depth = 0; depth < 8; depth++) {
    const field = holder.value.fields.find(({ key, value }) =>
      PATHS.test(key) &&
      !(holder.value.option.name === "blockdev" && key === "file" && given.nodes.has(value))
    );
    if (field) {
      return {
        root: at.index,
        given: holder,
        key: field.key,
        ...placeOf(field.value, cwd),
        format,
      };
    }
    const below = given.nodes.get(fieldOf(holder.value, "file") ?? "");
    if (!below || below === holder) break;
    holder = below;
  }
  return {
    root: at.index,
    given: at,
    key: SHORT.test(option.name) ? fields[0]?.key ?? "" : "file",
    ...{ path: null, opaque: false },
    format,
  };
}

/** `file:` is a prefix of plain paths; any other one, before a slash, is a protocol. */
function placeOf(value: string, cwd: string): Pick<Opening, "path" | "opaque"> {
  const opaque = /^(?!file:)[^/]*:/.test(value);
  return { path: opaque ? null : absolute(cwd, value), opaque };
}

function candidates(given: GivenOptions, cwd: string): Opening[] {
  return given.all.flatMap((at) => {
    const { name, value } = at.value.option;
    if (SHORT.test(name) && value !== null) {
      return [{ root: at.index, given: at, key: "", ...placeOf(value, cwd), format: null }];
    }
    return name === "drive" || name === "blockdev" ? [openingIn(at, given, cwd)] : [];
  });
}

/** The option with the path of the disk's image, or of an image below it. */
function byPath(
  node: string,
  { graph }: Pick<MachineState, "graph">,
  open: readonly Opening[],
  cwd: string,
): Opening | undefined {
  for (let chain = chainOf(graph, node); chain; chain = backingOf(graph, chain)) {
    const path = absolute(cwd, chain.storage.filename);
    const opening = open.find((o) => o.path === path);
    if (opening) return opening;
  }
  return undefined;
}
