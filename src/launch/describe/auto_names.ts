import { fieldOf } from "../command/mod.ts";
import type { Given } from "./given.ts";

/** Options that are a drive of the machine's own, by its interface and index (system/vl.c). */
const SHORT: Readonly<Record<string, readonly [type: string, index: number | null]>> = {
  "hda": ["ide", 0],
  "hdb": ["ide", 1],
  "hdc": ["ide", 2],
  "hdd": ["ide", 3],
  "cdrom": ["ide", 2],
  "drive-file": ["ide", 0],
  "fda": ["floppy", 0],
  "fdb": ["floppy", 1],
  "mtdblock": ["mtd", null],
  "pflash": ["pflash", null],
  "sd": ["sd", null],
};

/**
 * The names that QEMU gives to drives without an id, such as `ide1-cd0` and `virtio0` (`drive_new`,
 * blockdev.c), by their options' indexes. Pure.
 *
 * @param machineType q35 has one drive a bus, other machines with IDE two.
 */
export function autoNames(all: readonly Given[], machineType: string): Map<number, string> {
  const names = new Map<number, string>();
  const used = new Map<string, Set<number>>();
  for (const { index: at, value } of all) {
    const { name } = value.option;
    const short = SHORT[name];
    if (!short && name !== "drive") continue;
    const type = short?.[0] ?? fieldOf(value, "if") ?? "ide";
    if (type === "none") continue;
    const perBus = type === "ide" && !/q35/.test(machineType) ? 2 : type === "scsi" ? 7 : 1;
    const taken = used.get(type) ?? new Set();
    used.set(type, taken);
    let place = short ? short[1] : placeOf(value, perBus);
    if (place === null) { for (place = 0; taken.has(place);) place++; }
    taken.add(place);
    if (short || fieldOf(value, "id") === undefined) {
      const isCd = name === "cdrom" || fieldOf(value, "media") === "cdrom";
      names.set(at, nameOf(type, place, perBus, isCd));
    }
  }
  return names;
}

function placeOf(value: Given["value"], perBus: number): number | null {
  const [index, bus, unit] = ["index", "bus", "unit"].map((key) => fieldOf(value, key));
  if (index !== undefined) return Number(index);
  if (bus === undefined && unit === undefined) return null;
  return Number(bus ?? 0) * perBus + Number(unit ?? 0);
}

function nameOf(type: string, place: number, perBus: number, isCd: boolean): string {
  if (type !== "ide" && type !== "scsi") return `${type}${place}`;
  return `${type}${Math.floor(place / perBus)}-${isCd ? "cd" : "hd"}${place % perBus}`;
}
