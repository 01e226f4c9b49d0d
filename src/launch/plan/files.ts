/**
 * Which files the machine's QEMU opens, what each is for, and where it lies at the destination. Pure.
 *
 * @module
 */
import type { CommandPath } from "../command/mod.ts";
import type { GuestImage, MachineDescription } from "../description.ts";
import { fromRoot, mapPath } from "./path_map.ts";
import type { FileUse, PlannedFile } from "./planned_file.ts";
import type { LaunchWishes } from "./wishes.ts";

/** Where the files of a machine lie at the destination. */
export class Places {
  readonly #cwd: string;
  readonly #images: readonly GuestImage[];
  readonly #wishes: LaunchWishes;
  readonly #copied: readonly string[];

  /** @param copied names of the disks that are copied. */
  constructor(
    { process, facts }: Pick<MachineDescription, "process" | "facts">,
    wishes: LaunchWishes,
    copied: readonly string[],
  ) {
    this.#cwd = process.cwd;
    this.#images = facts.images;
    this.#wishes = wishes;
    this.#copied = copied;
  }

  /** The working directory at the destination. */
  get cwd(): string {
    return mapPath(this.#cwd, this.#wishes.maps);
  }

  /** The path at the source, from the root. */
  from(path: string): string {
    return fromRoot(path, this.#cwd);
  }

  /** The path at the destination: `--disk NAME=PATH` counts, else `--map`. */
  to(path: string, at: CommandPath): string {
    if (isFound(at)) return path;
    const from = this.from(path);
    const image = this.#imageAt(from);
    const own = this.#wishes.diskPaths.find(({ name }) => name === image?.name);
    return own ? own.path : mapPath(from, this.#wishes.maps);
  }

  /** The files of the paths, each path once, with unique names. */
  files(paths: readonly CommandPath[]): PlannedFile[] {
    const files: PlannedFile[] = [];
    for (const at of paths) {
      // The process that listens there may start later.
      if (isFound(at) || at.retries) continue;
      const from = this.from(at.path);
      if (files.some((known) => known.from === from)) continue;
      const image = this.#imageAt(from);
      const use = this.#useOf(at, image);
      const plain = image?.name ?? at.option;
      const isTaken = (name: string) => files.some((known) => known.name === name);
      let name = plain;
      for (let n = 2; isTaken(name); n++) name = `${plain}-${n}`;
      files.push({ name, use, from, to: this.to(at.path, at), image: image ?? null });
    }
    return files;
  }

  #imageAt(from: string): GuestImage | undefined {
    return this.#images.find((image) => image.local && fromRoot(image.path, this.#cwd) === from);
  }

  #useOf({ kind, writable, connects }: CommandPath, image: GuestImage | undefined): FileUse {
    if (image && this.#wishes.shared.includes(image.name)) return "shared";
    switch (kind) {
      case "image":
        if (image && this.#copied.includes(image.name)) return "copied";
        return (image ? !image.readOnly : writable) ? "kept" : "content";
      case "read-only":
        return "content";
      case "directory":
      case "config":
      case "device":
      case "program":
        return "needed";
      case "socket":
        return connects ? "needed" : "socket";
      case "output":
        return "output";
    }
  }
}

/** QEMU finds a bare name in its own directories, and a program in PATH: each host has its own. */
export function isFound({ path, searched, kind }: CommandPath): boolean {
  return !path.includes("/") && (searched || kind === "program");
}
