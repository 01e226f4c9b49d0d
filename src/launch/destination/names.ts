/**
 * Names on this host that come from the guest's name. Pure.
 *
 * @module
 */

import type { LaunchHost } from "./host.ts";

/** Longest name: systemd takes units of up to 255 bytes, a file system names of as many. */
const MAX_NAME = 64;

/**
 * The guest's name as a part of the names of its unit, log and directory: letters, digits, `.`, `_` and
 * `-`; anything else becomes `_`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(launchName("web 1/../x", null, "m"), "web_1_.._x");
 * assertEquals(launchName("..", "7d1a", "m"), "7d1a");
 * assertEquals(launchName(null, null, "c0ffee00-1"), "guest-c0ffee00");
 * ```
 */
export function launchName(
  name: string | null,
  uuid: string | null,
  migration: string,
): string {
  for (const candidate of [name, uuid]) {
    const plain = (candidate ?? "").replace(/[^A-Za-z0-9._-]/g, "_").slice(0, MAX_NAME);
    // A name that begins with a dash looks like an option, one with a dot is hidden.
    if (/^[A-Za-z0-9_]/.test(plain)) return plain;
  }
  return `guest-${migration.replace(/[^A-Za-z0-9]/g, "").slice(0, 8)}`;
}

/** The transient unit of a guest. */
export function unitName(name: string): string {
  return `vmferry-${name}.service`;
}

/**
 * The unit that starts a guest at boot. Not the transient one's name: systemd would go on with that one's
 * definition, which waits for a migration, until the next boot.
 */
export function bootUnitName(name: string): string {
  return `vmferry-${name}-boot.service`;
}

/** The first line of every unit file of vmferry. */
export const MARK = "# Written by vmferry; a later launch of this guest replaces it.";

/** The file of the unit that starts a guest at boot. */
export function bootUnitPath(
  { user, home }: Pick<LaunchHost, "user" | "home">,
  name: string,
): string {
  const directory = user.uid === 0 ? "/etc/systemd/system" : `${home ?? ""}/.config/systemd/user`;
  return `${directory}/${bootUnitName(name)}`;
}
