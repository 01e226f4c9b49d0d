/**
 * The report of the script {@link DESCRIBE_QEMU}. Pure.
 *
 * @module
 */
import { decodeBase64 } from "@std/encoding/base64";
import type { QemuProcess } from "../../launch/mod.ts";

/** A text of the process is not UTF-8. */
export class ReportError extends Error {
  /** The class, also in a bundle. */
  override name = "ReportError";
}

/** What the script has found. */
export interface QemuReport {
  /** Processes that have the socket. */
  readonly pids: readonly number[];
  /** QEMUs of other users, which the script could not look at. */
  readonly hidden: readonly number[];
  /** The process; only if it is the only one, and still there. */
  readonly process: FoundProcess | null;
}

/** A process as its report has it. */
export interface FoundProcess extends Omit<QemuProcess, "otherMounts"> {
  /** Its parent's id. */
  readonly parent: number;
  /** Its files are this host's; `private`: but for mounts of its own. */
  readonly mounts: "same" | "private" | "foreign";
}

/**
 * Variables that matter to a QEMU wherever it runs: time zone (`-rtc base=localtime`), memory allocator,
 * temporary files, audio, Ceph. Those that belong to the host or its installation stay behind, such as
 * LD_LIBRARY_PATH, QEMU_MODULE_DIR, DISPLAY and whatever systemd sets.
 */
const VARIABLES =
  /^(TZ|TMPDIR|GLIBC_TUNABLES|MALLOC_.+|QEMU_(?!MODULE_DIR$).+|CEPH_(CONF|ARGS|KEYRING))$/;

/**
 * Parses it.
 *
 * @throws {ReportError} when a word of the command line or a path is not UTF-8.
 */
export function parseQemuReport(text: string): QemuReport {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const all = (name: string) =>
    lines.filter((line) => line[0] === name).map((line) => line.slice(1));
  const one = (name: string) => all(name)[0]?.[0] ?? "";
  const pids = all("pid").map(([pid]) => Number(pid));
  const hidden = one("hidden").split(" ").filter((pid) => pid !== "").map(Number);
  const argv = wordsOf(one("argv"));
  if (pids.length !== 1 || argv.length === 0) return { pids, hidden, process: null };
  const link = pathOf(one("exe"));
  const program = programOf(link, argv);
  const [uid = "", name] = all("user")[0] ?? [];
  const [gid = "", group] = all("group")[0] ?? [];
  const mounts = one("mounts");
  return {
    pids,
    hidden,
    process: {
      pid: pids[0]!,
      ...program,
      cwd: pathOf(one("cwd")),
      environment: variablesOf(one("environ")),
      user: { uid: Number(uid), name: name || uid, group: group || gid },
      unit: unitOf(all("cgroup").map(([line = ""]) => line)),
      descriptors: all("fd").map(([fd, target = ""]) => ({
        fd: Number(fd),
        target: pathOf(target),
      })).filter(({ target }) => !OWN.test(target)),
      parent: Number(one("parent")),
      mounts: mounts === "private" || mounts === "foreign" ? mounts : "same",
    },
  };
}

/** Targets that QEMU and its libraries open by themselves without O_CLOEXEC. */
const OWN =
  /^(anon_inode:|\/dev\/(kvm|vhost-|net\/tun|ptmx|pts\/|urandom|random|null|zero)|\/memfd:)/;

/** The dynamic loader, which QEMU's file is an argument of where a wrapper brings its own libraries. */
const LOADER = /^ld(-linux|-musl|64|\.so)/;
const PROGRAM = /^(qemu-|kvm)/;
const DELETED = / \(deleted\)$/;

function programOf(
  link: string,
  argv: readonly string[],
): Pick<QemuProcess, "binary" | "replaced" | "argv"> {
  const replaced = DELETED.test(link);
  const binary = link.replace(DELETED, "");
  if (!LOADER.test(nameOf(binary))) return { binary, replaced, argv };
  const at = argv.findIndex((word, i) =>
    i > 0 && argv[i - 1] !== "--argv0" && PROGRAM.test(nameOf(word))
  );
  if (at < 0) return { binary, replaced, argv };
  const given = argv.slice(0, at).indexOf("--argv0");
  const called = given < 0 ? argv[at]! : argv[given + 1]!;
  return { binary: argv[at]!, replaced: false, argv: [called, ...argv.slice(at + 1)] };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/**
 * The unit in the lines of /proc/PID/cgroup, `ID:CONTROLLERS:PATH`: of systemd's own hierarchy, or of the
 * unified one. Both are there where systemd uses only one, as in a container. A scope is none: nothing starts
 * it again.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { unitOf } from "./qemu_report.ts";
 *
 * const path = "/user.slice/user-1000.slice/user@1000.service/app.slice/vm1.service";
 * assertEquals(unitOf([`0::${path}`]), { name: "vm1.service", scope: "user" });
 * assertEquals(unitOf(["0::/user.slice/user-1000.slice/session-3.scope"]), null);
 * ```
 */
export function unitOf(lines: readonly string[]): QemuProcess["unit"] {
  const paths = lines.map((line) => /^\d+:([^:]*):(.*)$/.exec(line)).filter((m) => m !== null);
  const units = ["name=systemd", ""].map((controllers) =>
    unitIn(paths.find((path) => path[1] === controllers)?.[2] ?? "")
  );
  const unit = units.find((found) => found !== null);
  return unit === undefined || unit.name.endsWith(".scope") ? null : unit;
}

/** The unit of a group, which may be a scope. */
function unitIn(path: string): QemuProcess["unit"] {
  const names = path.split("/");
  const manager = names.findIndex((name) => /^user@\d+\.service$/.test(name));
  // A unit may have made groups of its own below it.
  const own = names.slice(manager + 1);
  const name = own.find((part) => /\.(service|scope)$/.test(part));
  return name === undefined ? null : { name, scope: manager < 0 ? "system" : "user" };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function wordsOf(coded: string): string[] {
  const words = partsOf(coded);
  return words.map((bytes, i) => {
    try {
      return utf8.decode(bytes);
    } catch (cause) {
      const where = i === 0 ? "" : `, after "${utf8Lossy(words[i - 1]!)}",`;
      throw new ReportError(`argument ${i}${where} is not UTF-8`, { cause });
    }
  });
}

function utf8Lossy(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).slice(0, 100);
}

/** Bytes between NULs; one ends each part. */
function partsOf(coded: string): Uint8Array[] {
  const bytes = decodeBase64(coded);
  const parts: Uint8Array[] = [];
  let begin = 0;
  for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, begin)) {
    parts.push(bytes.subarray(begin, end));
    begin = end + 1;
  }
  return begin < bytes.length ? [...parts, bytes.subarray(begin)] : parts;
}

function variablesOf(coded: string): Record<string, string> {
  return Object.fromEntries(
    partsOf(coded).flatMap((bytes): [string, string][] => {
      const text = utf8Lenient(bytes);
      const at = text?.indexOf("=") ?? -1;
      const name = text?.slice(0, Math.max(at, 0)) ?? "";
      return VARIABLES.test(name) ? [[name, text!.slice(at + 1)]] : [];
    }),
  );
}

function utf8Lenient(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** A path, without the newline that readlink adds. */
function pathOf(coded: string): string {
  try {
    return utf8.decode(decodeBase64(coded)).replace(/\n$/, "");
  } catch (cause) {
    throw new ReportError("a path of it is not UTF-8", { cause });
  }
}
