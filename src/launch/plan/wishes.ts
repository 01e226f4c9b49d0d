/**
 * What the user asks of a launch. Shapes only.
 *
 * @module
 */
import type { RuleName } from "../../migrate/mod.ts";
import type { PathMap } from "./path_map.ts";

/** The options of a launch. */
export interface LaunchWishes {
  /** `--map`: where the source's files lie at the destination. */
  readonly maps: readonly PathMap[];
  /** `--disk NAME=PATH`: the path of that disk's image at the destination. */
  readonly diskPaths: readonly { readonly name: string; readonly path: string }[];
  /** Disks whose images at the destination may be overwritten. */
  readonly reuse: readonly string[];
  /** Disks on storage that both hosts share. */
  readonly shared: readonly string[];
  /** `top`: only the uppermost image of a chain is copied; the destination has the one below. */
  readonly sync: "full" | "top";
  /** The destination starts the guest at boot from then on. */
  readonly persist: boolean;
  /** Rules of the comparison of both machines whose refusals the user overrides. */
  readonly allow: readonly RuleName[];
}
