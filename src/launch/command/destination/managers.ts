/**
 * Guests that a manager started. Pure.
 *
 * @module
 */
import type { QemuCommand } from "../command.ts";
import { fieldOf, parseOption } from "../option_value.ts";
import { pathsOf } from "../paths.ts";

/** Directories in which only libvirt keeps the sockets and secrets of its guests. */
const OF_LIBVIRT =
  /^(?:\/var\/lib|\/(?:var\/)?run)\/libvirt\/qemu\/|\/\.(?:config|cache)\/libvirt\/qemu\/(?:lib|run)\/|\/run\/user\/\d+\/libvirt\/qemu\//;

/**
 * libvirt started this QEMU. `guest=...,debug-threads=on` alone is no proof, as others write it, too, nor
 * is an image in /var/lib/libvirt/images.
 */
export function isManagedByLibvirt(command: QemuCommand): boolean {
  const ids = command.options.filter(({ name }) => name === "object" || name === "chardev")
    .map((option) => fieldOf(parseOption(option), "id"));
  if (ids.includes("masterKey0") || ids.includes("charmonitor")) return true;
  return pathsOf(command).some(({ path, kind }) =>
    (kind === "socket" || kind === "read-only") && OF_LIBVIRT.test(path) &&
    !path.includes("/qemu/nvram/")
  );
}
