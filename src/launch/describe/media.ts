/**
 * Media of removable drives that were changed, ejected or inserted since QEMU was started. Pure.
 *
 * @module
 */
import type { QemuCommand } from "../command/mod.ts";
import { absolute, chainOf, formatOf } from "./block_chain.ts";
import { blockOption } from "./block_options.ts";
import type { Edits } from "./edits.ts";
import { type GivenOptions, keyValues } from "./given.ts";
import { blockOf } from "./images.ts";
import type { MachineState } from "./machine_state.ts";
import type { Opening } from "./openings.ts";

/** What -drive keeps without a medium. */
const OF_THE_DRIVE: ReadonlySet<string> = new Set([
  ...["if", "id", "media", "index", "bus", "unit", "werror", "rerror"],
]);

/** What media change apart from the options that {@link Edits} has. */
export interface MediaChanges {
  readonly added: readonly (readonly [option: string, value: string])[];
  readonly problems: readonly string[];
}

/** Compares each drive's medium with the command line, and edits the options that no longer say it. */
export function changeMedia(
  state: MachineState,
  command: QemuCommand,
  given: GivenOptions,
  openings: ReadonlyMap<string, Opening>,
  cwd: string,
  edits: Edits,
): MediaChanges {
  const added: (readonly [string, string])[] = [];
  const problems: string[] = [];
  for (const disk of state.disks) {
    const block = disk.empty
      ? state.blocks.find((b) => !b.inserted && isOf(b, disk.name))
      : blockOf(state, disk.nodeName);
    const isAdded = state.added.some(({ id }) => id === disk.name);
    if (!block?.removable || isAdded) continue;
    const opening = openings.get(disk.name);
    if (opening?.opaque) continue;
    const device = given.devices.get(disk.name);
    if (disk.empty) {
      if (opening?.path === undefined || opening.path === null) continue;
      eject(opening, device?.index, edits);
      continue;
    }
    const chain = chainOf(state.graph, disk.nodeName);
    const path = chain && absolute(cwd, chain.storage.filename);
    if (!chain || path === opening?.path) continue;
    const made = blockOption(disk.name, `medium-${disk.name}`, chain, block, cwd);
    if (!chain.local || "problem" in made) {
      problems.push(
        `drive ${disk.name} holds another medium than the command line says, and vmferry cannot ` +
          `open it the same way: ${chain.storage.filename}. Eject it`,
      );
    } else if (opening) {
      insert(opening, path!, formatOf(chain), edits, command);
    } else if (device) {
      edits.set(device.index, "drive", `medium-${disk.name}`);
      added.push(made.option);
    } else {
      const drive = driveOf(block.device, path!);
      if (drive) added.push(...drive);
      else {
        problems.push(
          `vmferry does not know which option makes the drive ${disk.name}: eject its medium`,
        );
      }
    }
  }
  return { added, problems };
}

function isOf({ device, qdev = "" }: { device: string; qdev?: string }, name: string): boolean {
  return device === name || qdev === name || qdev.startsWith(`/machine/peripheral/${name}/`);
}

function eject(
  { given }: Opening,
  device: number | undefined,
  edits: Edits,
): void {
  const { option, fields } = given.value;
  if (option.name === "drive") {
    for (const { key } of fields) if (!OF_THE_DRIVE.has(key)) edits.set(given.index, key, null);
  } else if (option.name === "blockdev") {
    // The -blockdev itself goes with those that no device uses.
    if (device !== undefined) edits.set(device, "drive", null);
  } else {
    const unit = "abcd".indexOf(option.name.at(-1)!);
    const value = option.name.startsWith("fd")
      ? `if=floppy,index=${unit}`
      : `index=${option.name === "cdrom" ? 2 : unit},media=cdrom`;
    edits.replace(given.index, { name: "drive", value });
  }
}

function insert(
  { given, key, path }: Opening,
  now: string,
  format: string,
  edits: Edits,
  command: QemuCommand,
): void {
  const option = command.options[given.index]!;
  if (key === "") return edits.replace(given.index, { ...option, value: now });
  edits.set(given.index, key, now);
  if (option.name !== "drive") return;
  if (path === null || given.value.fields.some((f) => f.key === "format")) {
    edits.set(given.index, "format", format);
  }
}

/** Options for a medium in one of the machine's own drives, by its name in QEMU, such as `ide1-cd0`. */
function driveOf(
  device: string,
  path: string,
): (readonly [option: string, value: string])[] | null {
  const [, kind = "", bus = "", unit = ""] = /^(ide)(\d+)-cd(\d+)$|^(floppy)([01])$/.exec(device)
    ?.filter((part) => part !== undefined) ?? [];
  const file = [["format", "raw"], ["file", path]] as const;
  if (kind === "ide") {
    const place = [["if", "ide"], ["bus", bus], ["unit", unit], ["media", "cdrom"]] as const;
    return [["drive", keyValues([...place, ...file])]];
  }
  if (kind !== "floppy") return null;
  return [
    ["drive", keyValues([["if", "none"], ["id", device], ...file])],
    // An empty drive is one for 2.88 MB; QEMU would take the type from the medium.
    [
      "device",
      keyValues([["", "floppy"], ["unit", bus], ["drive", device], ["drive-type", "288"]]),
    ],
  ];
}
