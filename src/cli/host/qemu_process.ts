/**
 * The QEMU process behind a QMP socket. A shell looks at /proc: Deno keeps a program with less than all
 * permissions out of it.
 *
 * @module
 */
import { nameOf, type RunProgram } from "../../host/mod.ts";
import { type Logger, messageOf } from "../../io/mod.ts";
import type { QemuProcess } from "../../launch/mod.ts";
import { DESCRIBE_QEMU } from "./describe_qemu.ts";
import { runProgram } from "./run_program.ts";
import { type FoundProcess, parseQemuReport, type QemuReport } from "./qemu_report.ts";

/** How long the look may take, ms. */
const LOOK_MS = 60_000;
/** How long systemd may take to answer, ms. */
const SYSTEMD_MS = 3_000;

/** A process that cannot be described. */
export class QemuProcessError extends Error {
  /** The class, also in a bundle. */
  override name = "QemuProcessError";
  /**
   * `not-found`: no QEMU of this host has the socket. `denied`: it may belong to another user. `several`:
   * more than one process has the socket. `container`: its files are not this host's. `unreadable`: its
   * command line is not UTF-8, or it ended meanwhile.
   */
  readonly failure: "not-found" | "denied" | "several" | "container" | "unreadable";
  /** Makes the error; the message says what to do. */
  constructor(failure: QemuProcessError["failure"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}

/** Names of QEMU's programs. */
const QEMU = /qemu|kvm/;

const GIVE = "give its command line with --qemu-command FILE";

/**
 * Describes the process that serves a QMP socket.
 *
 * @param qmpPath as it was given; symbolic links are followed.
 * @throws {QemuProcessError} when it is not found or cannot be looked at.
 * @throws as `RunProgram`.
 */
export async function describeProcess(run: RunProgram, qmpPath: string): Promise<QemuProcess> {
  const { stdout } = await run(["sh", "-c", DESCRIBE_QEMU, "sh", qmpPath], { timeoutMs: LOOK_MS });
  const found = onlyOne(reportOf(stdout, qmpPath), qmpPath);
  const { parent, mounts, ...process } = found;
  if (![found.binary, found.argv[0] ?? ""].some((path) => QEMU.test(nameOf(path)))) {
    const message =
      `${nameOf(found.binary)} (pid ${found.pid}) listens on ${qmpPath}, expected QEMU. ` +
      `Give the socket that QEMU itself listens on, or ${GIVE}`;
    throw new QemuProcessError("not-found", message);
  }
  if (mounts === "foreign") {
    const message =
      `QEMU (pid ${found.pid}) has another root directory than this vmferry, as in a ` +
      `container: its paths are not this host's. Run vmferry where QEMU runs, or ${GIVE}, with ` +
      "the paths of this host";
    throw new QemuProcessError("container", message);
  }
  const otherMounts = mounts === "private"
    ? `QEMU (pid ${found.pid}) has a mount namespace of its own, such as by PrivateTmp= of its unit`
    : null;
  const unit = await isOwn(run, found, parent) ? found.unit : null;
  return { ...process, unit, otherMounts };
}

/** The same by this host's programs; `undefined` where the process cannot be described. */
export async function findProcess(
  qmpPath: string,
  log: Logger,
): Promise<QemuProcess | undefined> {
  try {
    return await describeProcess(runProgram, qmpPath);
  } catch (error) {
    log.log("info", `the QEMU behind ${qmpPath}: ${messageOf(error)}`);
    return undefined;
  }
}

function reportOf(text: string, qmpPath: string): QemuReport {
  try {
    return parseQemuReport(text);
  } catch (cause) {
    const message = `the command line of the QEMU behind ${qmpPath} cannot be carried over: ` +
      `${messageOf(cause)}. Start QEMU with UTF-8 only, or ${GIVE}`;
    throw new QemuProcessError("unreadable", message, { cause });
  }
}

function onlyOne({ pids, hidden, process }: QemuReport, qmpPath: string): FoundProcess {
  if (process) return process;
  if (pids.length > 1) {
    const message =
      `processes ${pids.join(", ")} share the QMP socket ${qmpPath}: vmferry cannot ` +
      `tell QEMU from the others. End the others, or ${GIVE}`;
    throw new QemuProcessError("several", message);
  }
  if (pids.length === 1) {
    const message = `the command line of the QEMU behind ${qmpPath} (pid ${pids[0]}) cannot be ` +
      `read: QEMU has ended, or hides it. Run vmferry as root, or ${GIVE}`;
    throw new QemuProcessError("unreadable", message);
  }
  if (hidden.length > 0) {
    const message =
      `no QEMU of this user listens on ${qmpPath}, and this user may not look at those of ` +
      `others (pid ${hidden.join(", ")}). Run vmferry as QEMU's user or as root, or ${GIVE}`;
    throw new QemuProcessError("denied", message);
  }
  const message =
    `no QEMU of this host listens on ${qmpPath}: another program may stand between, or ` +
    `/proc hides it. Run vmferry as root on QEMU's host, or ${GIVE}`;
  throw new QemuProcessError("not-found", message);
}

/**
 * Whether the unit exists to run this QEMU: it is the main process, or a script's only child. Without it
 * a QEMU that somebody started over ssh would count as sshd's.
 */
async function isOwn(
  run: RunProgram,
  { unit, user, pid }: FoundProcess,
  parent: number,
): Promise<boolean> {
  if (!unit) return false;
  const manager = unit.scope === "user" ? ["--user", `--machine=${user.uid}@.host`] : [];
  const argv = ["systemctl", ...manager, "show", "--property=MainPID", "--value", "--", unit.name];
  try {
    const { code, stdout } = await run(argv, { timeoutMs: SYSTEMD_MS });
    const main = Number(stdout.trim());
    return code !== 0 || main === 0 || main === pid || main === parent;
  } catch {
    // Without an answer the name of the group counts.
    return true;
  }
}
