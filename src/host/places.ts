/**
 * Where a source from the network may have files created, written and read. Pure.
 *
 * A path is compared with every symbolic link on its way resolved.
 *
 * @module
 */

/** What happens to a path. */
export type Access =
  /** Created, or written to. */
  | "write"
  /** Only read, by QEMU: its guest may see the content. */
  | "read"
  /** A UNIX socket that QEMU makes, or its pidfile. */
  | "socket";

/** Directories at the root that belong to the host itself. */
const SYSTEM =
  /^\/(?:bin|boot|dev|etc|lib|lib32|lib64|libx32|opt|proc|root|run|sbin|sys|usr|var)(?:\/|$)/;

/** In them: where guests' files usually are. */
const GUEST_DIRS = [
  "/dev/shm",
  "/dev/hugepages",
  "/var/lib/images",
  "/var/lib/libvirt/images",
  "/var/lib/libvirt/qemu/nvram",
  "/var/lib/qemu",
  "/var/lib/vms",
  "/var/lib/vz",
  "/var/tmp",
  "/var/vm",
] as const;

/** In them: what QEMU reads of the host's packages. */
const READABLE_DIRS = ["/usr/lib", "/usr/share", "/usr/local/share", "/opt"] as const;

/** Device nodes that give a guest nothing of the host's data. */
const DEVICES = [
  "/dev/kvm",
  "/dev/net/tun",
  "/dev/null",
  "/dev/random",
  "/dev/urandom",
  "/dev/vhost-net",
  "/dev/vhost-vsock",
  "/dev/zero",
] as const;

/** In /run: directories and files of services and of the host, which are not a guest's. */
const SERVICES =
  /^\/run\/(?:dbus|docker|docker\.sock|containerd|initctl|libvirt|lock|log|machine-id|motd\.dynamic|nologin|ostree-booted|podman|reboot-required|systemd|udev|user|utmp|vmferry)(?:\/|$)/;

/** A user's own configuration, such as `~/.ssh` and `~/.profile`. */
const HIDDEN_AT_HOME = /^\/home\/[^/]+\/\./;

/**
 * Whether the path may be used.
 *
 * @param path absolute, with symbolic links resolved.
 * @param home this user's home directory.
 */
export function isAllowedPlace(path: string, access: Access, home: string | undefined): boolean {
  if (isIn(path, DEVICES)) return true;
  if (HIDDEN_AT_HOME.test(path)) return false;
  if (home !== undefined && home !== "/" && isIn(path, [home])) {
    const rest = path.slice(home.length + 1);
    // Root's home has what the host's administration keeps there.
    return !home.startsWith("/root") && rest !== "" && !rest.startsWith(".");
  }
  if (isIn(path, GUEST_DIRS)) return true;
  if (access === "read" && isIn(path, READABLE_DIRS)) return true;
  if (access === "socket" && path.startsWith("/run/")) return !SERVICES.test(path);
  return path !== "/" && !SYSTEM.test(path);
}

function isIn(path: string, directories: readonly string[]): boolean {
  return directories.some((dir) => path === dir || path.startsWith(`${dir}/`));
}

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f]/;

/** Absolute, without control characters, and no name in it is `.` or `..`: it names what it seems to name. */
export function isPlainPath(path: string): boolean {
  return path.startsWith("/") && path !== "/" && !path.endsWith("/") &&
    !CONTROL.test(path) &&
    !path.split("/").some((part) => part === ".." || part === ".");
}
