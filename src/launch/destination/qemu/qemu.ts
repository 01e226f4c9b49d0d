/**
 * The QEMU that a launch has started: by its record, in the process that started it or in a later one.
 *
 * @module
 */
import { command, type ProgramResult, type RunProgram } from "../../../host/mod.ts";
import type { LaunchHost } from "../host.ts";
import type { LaunchRecord, SiteRecord, UnitRecord } from "../record.ts";

/** How long QEMU may take to end by itself, and then when it is killed, ms. */
const END_MS = 10_000;
const KILL_MS = 10_000;
/** Lines of its output that a message quotes. */
const LINES = 5;
/** Longest of them together, UTF-16 code units. */
const MAX_WORDS = 1000;

/** How QEMU is. */
export interface QemuState {
  /** `unseen`: no such process or unit is known, perhaps not yet. */
  readonly state: "running" | "ended" | "unseen";
  /** Processor time that it has used, in clock ticks: it changes while QEMU works. */
  readonly ticks: number;
  readonly pid: number | null;
  /** How it ended, such as `exit code 1`; empty where unknown. */
  readonly how: string;
}

/**
 * Prints whether the process runs that has written the pid file `$1` ("PID STARTTIME BOOTID"), its pid and
 * its processor time. A pid alone may be another process's by now.
 */
const LOOK_AT_PROCESS = `
read -r pid start boot 2>/dev/null <"$1" || { echo unseen; exit 0; }
[ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] || { echo ended "$pid" 0; exit 0; }
set -- $(sed -n '$s/.*) //p' "/proc/$pid/stat" 2>/dev/null)
case $1 in ''|Z|X) echo ended "$pid" 0; exit 0 ;; esac
shift 11
ticks=$(($1 + $2))
shift 8
if [ "$1" = "$start" ]; then echo running "$pid" "$ticks"; else echo ended "$pid" 0; fi
`;

/** Sends signal `$2` to the process of the pid file `$1`, if it still is that one, and waits for its end. */
const END_PROCESS = `
read -r pid start boot 2>/dev/null <"$1" || exit 0
[ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] || exit 0
is_there() {
  set -- $(sed -n '$s/.*) //p' "/proc/$pid/stat" 2>/dev/null)
  case $1 in ''|Z|X) return 1 ;; esac
  shift 19
  [ "$1" = "$start" ]
}
is_there || exit 0
kill "-$2" "$pid"
left=$3
while is_there; do
  [ "$left" -gt 0 ] || exit 1
  left=$((left - 1))
  sleep 0.1
done
`;

/** Prints the state, exit status and description of unit `$2` of the manager `$1` (--system or --user). */
const UNIT_MEMBERS = [
  "LoadState",
  "ActiveState",
  "MainPID",
  "ExecMainCode",
  "ExecMainStatus",
  "Description",
  "InvocationID",
];

/** A unit as systemd knows it; empty members where it does not know it. */
export async function showUnit(
  run: RunProgram,
  unit: UnitRecord,
): Promise<Readonly<Record<string, string>>> {
  const argv = ["systemctl", scopeOf(unit), "show", `--property=${UNIT_MEMBERS.join(",")}`];
  const text = await command(run, [...argv, "--", unit.name]);
  return Object.fromEntries(
    text.split("\n").map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

/** The option of systemctl that chooses the manager of a unit. */
export function scopeOf({ scope }: UnitRecord): string {
  return `--${scope}`;
}

/** The description of a launch's transient unit: it names the migration, which no other unit does. */
export function unitDescription({ name, migration }: LaunchRecord): string {
  return `QEMU guest ${name} (vmferry ${migration})`;
}

/** Looks at the QEMU. One that commands of the user start runs as long as its QMP socket answers. */
export async function lookAtQemu(host: LaunchHost, record: LaunchRecord): Promise<QemuState> {
  const { unit, pidFile, site } = record.qemu;
  if (site) {
    const answers = await siteQemuOf(host, record, site).answers();
    return { state: answers ? "running" : "unseen", pid: null, ticks: 0, how: "" };
  }
  if (unit !== null) return await lookAtUnit(host.run, record, unit);
  const argv = ["sh", "-c", LOOK_AT_PROCESS, "sh", pidFile ?? ""];
  const [state, pid, ticks] = (await command(host.run, argv)).trim().split(" ");
  const isSeen = state === "running" || state === "ended";
  return {
    state: isSeen ? state : "unseen",
    pid: isSeen ? Number(pid) : null,
    ticks: Number(ticks ?? 0),
    how: "",
  };
}

function siteQemuOf({ siteQemu }: LaunchHost, { qmp }: LaunchRecord, site: SiteRecord) {
  return siteQemu({ ...site, qmp, begun: true });
}

async function lookAtUnit(
  run: RunProgram,
  record: LaunchRecord,
  unit: UnitRecord,
): Promise<QemuState> {
  const shown = await showUnit(run, unit);
  if (shown["Description"] !== unitDescription(record)) {
    return { state: "unseen", pid: null, ticks: 0, how: "" };
  }
  const pid = Number(shown["MainPID"]);
  const isOver = shown["ActiveState"] === "failed" || shown["ActiveState"] === "inactive";
  const ticks = isOver || pid === 0 ? 0 : await ticksOf(run, pid);
  const { ExecMainCode: code, ExecMainStatus: status } = shown;
  // waitid's codes: CLD_EXITED is 1, CLD_KILLED 2, CLD_DUMPED 3.
  const how = code === "1" ? `exit code ${status}` : code === "0" ? "" : `signal ${status}`;
  return { state: isOver ? "ended" : "running", pid: pid > 0 ? pid : null, ticks, how };
}

async function ticksOf(run: RunProgram, pid: number): Promise<number> {
  const script = 'set -- $(sed -n "\\$s/.*) //p" "/proc/$1/stat"); shift 11; echo $(($1 + $2))';
  const { code, stdout } = await run(["sh", "-c", script, "sh", `${pid}`], { timeoutMs: END_MS });
  return code === 0 ? Number(stdout) : 0;
}

/** How a process ended, from the exit code that sh gives it. */
export function howEnded({ code }: ProgramResult): string {
  return code > 128 ? `signal ${code - 128}` : `exit code ${code}`;
}

/**
 * Ends the QEMU, if it is the one of the record. The guest must not be in it.
 *
 * @throws {CommandError} when it does not end.
 */
export async function endQemu(host: LaunchHost, record: LaunchRecord): Promise<void> {
  const { unit, pidFile, site } = record.qemu;
  if (site) {
    const left = await siteQemuOf(host, record, site).stop();
    if (left !== undefined) throw new Error(left);
    return;
  }
  const { run } = host;
  if (unit === null) {
    if (pidFile === null) return;
    for (const [signal, ms] of [["TERM", END_MS], ["KILL", KILL_MS]] as const) {
      const argv = ["sh", "-c", END_PROCESS, "sh", pidFile, signal, `${ms / 100}`];
      const { code } = await run(argv, { timeoutMs: ms + END_MS });
      if (code === 0) return;
    }
    throw new Error("QEMU does not end");
  }
  const { state } = await lookAtUnit(run, record, unit);
  if (state === "unseen") return;
  const systemctl = ["systemctl", scopeOf(unit)];
  if (state === "running") {
    // QEMU quits at SIGTERM. `stop` waits for its end, and systemd itself kills it after 90 s.
    await run([...systemctl, "stop", "--no-block", "--", unit.name], { timeoutMs: END_MS });
    if (!await hasEnded(host, record, unit, END_MS)) {
      const kill = [...systemctl, "kill", "--signal=KILL", "--", unit.name];
      await run(kill, { timeoutMs: END_MS });
      if (!await hasEnded(host, record, unit, KILL_MS)) {
        throw new Error(`${unit.name} does not end`);
      }
    }
  }
  // A unit that failed stays loaded until then.
  await run([...systemctl, "reset-failed", "--", unit.name], { timeoutMs: END_MS });
}

async function hasEnded(
  { run, clock }: LaunchHost,
  record: LaunchRecord,
  unit: UnitRecord,
  ms: number,
): Promise<boolean> {
  const until = clock.now() + ms;
  while ((await lookAtUnit(run, record, unit)).state === "running") {
    if (clock.now() >= until) return false;
    await new Promise<void>((resolve) => clock.after(100, resolve));
  }
  return true;
}

/** Finds the output of a unit whose start systemd has forgotten, or journald did not know. */
function sinceBegun({ made }: LaunchRecord, { name, scope }: UnitRecord): string[] {
  const begunAt = Math.max(0, ...made.map((each) => each.begunAt ?? 0));
  const field = scope === "user" ? "_SYSTEMD_USER_UNIT" : "_SYSTEMD_UNIT";
  return [`--since=@${Math.floor(begunAt / 1000)}`, `${field}=${name}`];
}

/** The last lines of QEMU's output as one line; empty where there are none. */
export async function lastWordsOf(host: LaunchHost, record: LaunchRecord): Promise<string> {
  const { log, qemu: { unit } } = record;
  const stdout = unit === null
    // A line may be of any length.
    ? await output(host, ["tail", "-c", `${4 * MAX_WORDS}`, "--", log ?? ""])
    : await journalOf(host, record, unit);
  const lines = stdout.trim().split("\n").slice(-LINES);
  return lines.map((line) => line.trim()).join(" / ").slice(-MAX_WORDS);
}

async function journalOf(
  host: LaunchHost,
  record: LaunchRecord,
  unit: UnitRecord,
): Promise<string> {
  // journald may still have to write what QEMU said; a user may not ask for that.
  await output(host, ["journalctl", "--sync"]);
  const { InvocationID: id } = await showUnit(host.run, unit);
  const argv = ["journalctl", scopeOf(unit), "-q", "--no-pager", "-o", "cat", "-n", `${LINES}`];
  const words = id ? await output(host, [...argv, `_SYSTEMD_INVOCATION_ID=${id}`]) : "";
  return words !== "" ? words : await output(host, [...argv, ...sinceBegun(record, unit)]);
}

/** What a command prints, whether it fails or not. */
async function output(host: LaunchHost, argv: readonly string[]): Promise<string> {
  return (await host.run(argv, { timeoutMs: END_MS })).stdout;
}
