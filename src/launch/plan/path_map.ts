/**
 * Paths of the source as paths of the destination. Pure.
 *
 * @module
 */

/** `--map OLD=NEW`, both absolute. */
export interface PathMap {
  /** Path at the source. */
  readonly from: string;
  /** Path at the destination. */
  readonly to: string;
}

/**
 * Reads `OLD=NEW`. OLD ends at the first `=/`, so that it may contain a `=`.
 *
 * @returns `undefined` where it is none.
 */
export function parsePathMap(text: string): PathMap | undefined {
  const match = /^(\/.*?)=(\/.*)$/s.exec(text);
  if (!match) return undefined;
  return { from: withoutSlash(match[1]!), to: withoutSlash(match[2]!) };
}

/**
 * The path at the destination: the map with the longest OLD that is the path, or a directory above it,
 * counts; other paths stay as they are.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const maps = [{ from: "/vm", to: "/srv" }, { from: "/vm/iso", to: "/media" }];
 * assertEquals(mapPath("/vm/a.img", maps), "/srv/a.img");
 * assertEquals(mapPath("/vm/iso/cd.iso", maps), "/media/cd.iso");
 * assertEquals(mapPath("/vmx/a.img", maps), "/vmx/a.img");
 * ```
 */
export function mapPath(path: string, maps: readonly PathMap[]): string {
  const [best] = maps.filter(({ from }) => isWithin(path, from))
    .sort((a, b) => b.from.length - a.from.length);
  if (!best) return path;
  const rest = path.slice(best.from === "/" ? 0 : best.from.length);
  return rest === "" ? best.to : `${best.to === "/" ? "" : best.to}${rest}`;
}

/**
 * Maps that are for none of the paths: a typo in OLD, as a rule.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const maps = [{ from: "/vm", to: "/srv" }, { from: "/vn", to: "/srv" }];
 * assertEquals(unusedMaps(maps, ["/vm/a.img", "/run/vm.qmp"]), [maps[1]]);
 * ```
 */
export function unusedMaps(maps: readonly PathMap[], paths: readonly string[]): PathMap[] {
  return maps.filter(({ from }) => !paths.some((path) => isWithin(path, from)));
}

/**
 * `path` from the root, without `//` and `/./`. A `..` stays: behind a symbolic link it is another
 * directory than the one before.
 *
 * @param cwd the directory that a relative path begins at.
 */
export function fromRoot(path: string, cwd: string): string {
  const whole = path.startsWith("/") ? path : `${cwd}/${path}`;
  return `/${whole.split("/").filter((part) => part !== "" && part !== ".").join("/")}`;
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || directory === "/" || path.startsWith(`${directory}/`);
}

function withoutSlash(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}
