/**
 * A guest that was launched here and has left again. Pure.
 *
 * @module
 */

/** The file in a guest's directory that says that the guest has left this host. */
export const MOVED = "moved";

/** A guest that has left. */
export interface LeftGuest {
  /** As `query-name` has it. */
  readonly name: string | null;
  /** As `query-uuid` has it. */
  readonly uuid: string | null;
  /** Paths of the QMP socket of the QEMU that it has left; any of them may stand in its command line. */
  readonly qmpPaths: readonly string[];
}

/**
 * Whether `command.json` of a guest's directory is this guest's: it has its name, its UUID and its QMP socket.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const kept = JSON.stringify({
 *   guest: { name: "vm1", uuid: null },
 *   argv: ["qemu-system-x86_64", "-qmp", "unix:/run/vm1.qmp,server=on,wait=off"],
 * });
 * assertEquals(isKeptCommandOf(kept, { name: "vm1", uuid: null, qmpPaths: ["/run/vm1.qmp"] }), true);
 * assertEquals(isKeptCommandOf(kept, { name: "vm1", uuid: null, qmpPaths: ["/run/vm1.q"] }), false);
 * assertEquals(isKeptCommandOf("{", { name: "vm1", uuid: null, qmpPaths: [] }), false);
 * ```
 */
export function isKeptCommandOf(json: string, { name, uuid, qmpPaths }: LeftGuest): boolean {
  let kept: unknown;
  try {
    kept = JSON.parse(json);
  } catch {
    return false;
  }
  const { guest, argv } = members(kept);
  const { name: keptName = null, uuid: keptUuid = null } = members(guest);
  if (keptName !== name || keptUuid !== uuid || !Array.isArray(argv)) return false;
  return argv.some((word) =>
    typeof word === "string" && qmpPaths.some((path) => hasPath(word, path.replaceAll(",", ",,")))
  );
}

/** A path in an option ends with the option or before a comma. */
function hasPath(word: string, path: string): boolean {
  const at = word.indexOf(path);
  return at >= 0 && /^(,(?!,)|"|$)/.test(word.slice(at + path.length));
}

function members(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}
