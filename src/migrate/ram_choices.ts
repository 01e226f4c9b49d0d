import type { Multifd } from "./multifd.ts";

/** When RAM goes on by post-copy: the guest runs at the destination, and the rest of its RAM follows. */
export type PostcopyChoice =
  /** Once all RAM was sent once. */
  | { readonly when: "first-pass" }
  /** After this long in the phase `ram`, ms. */
  | { readonly when: "after"; readonly afterMs: number }
  /** When it is asked for: by `vmferry set`, a timeout or the ladder. */
  | { readonly when: "asked" };

/** How a mirror job handles a write of the guest: QEMU's `copy-mode` (`blockdev-mirror`). */
export type CopyMode = "background" | "write-blocking";

/** When QEMU throttles a guest that changes its RAM faster than RAM crosses, and by how much. In percent, 1 to 99. */
export interface AutoConverge {
  /**
   * `start`: QEMU decides from the first pass on; `ladder`: vmferry decides once nothing else helps; `never`: not at
   * all.
   */
  readonly when: "start" | "ladder" | "never";
  /** The first throttle (`--throttle-initial`). Default: QEMU's 20, or with `ladder` as much as the rates ask for. */
  readonly initial?: number;
  /** Each further step (`--throttle-increment`). Default: QEMU's 10, or with `ladder` half of what is left. */
  readonly increment?: number;
  /** The largest throttle (`--throttle-max`). Default: 99. */
  readonly max?: number;
}

/**
 * How the user wants RAM to cross, and a guest to be handled that changes its RAM or disks faster than they cross.
 * Without a part QEMU sends RAM as pre-copy in one stream.
 */
export interface RamChoices {
  /** RAM crosses in several streams (`--multifd`). */
  readonly multifd?: Multifd;
  /**
   * `write-blocking`: each write of the guest waits for the destination, from the start of the mirrors. Default:
   * `background`; vmferry changes the mode of a mirror that falls behind.
   */
  readonly copyMode?: CopyMode;
  /**
   * The source's QEMU keeps the pages that it has sent in a cache of this size, bytes, a power of two, and sends
   * what has changed in them (`--xbzrle`).
   */
  readonly xbzrleCacheBytes?: number;
  /** Both QEMUs are set up for post-copy. */
  readonly postcopy?: PostcopyChoice;
  /** Default: `ladder`. */
  readonly autoConverge?: AutoConverge;
  /** What each vCPU may change at most (QEMU's dirty limit), MiB per second. Default: as much as it likes. */
  readonly dirtyLimitMib?: number;
}
