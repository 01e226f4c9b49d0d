/**
 * systemd units of guests: the arguments of systemd-run, and unit files. Pure.
 *
 * @module
 */
import type { LaunchStart } from "../../../rpc/mod.ts";
import type { UnitRecord } from "../record.ts";

/** A QEMU that ends itself in order has this long before systemd kills it, s. */
const STOP_S = 90;

/** systemd ends a line at a carriage return, too. */
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f]/g;

/** What a unit runs. */
export interface UnitCommand {
  readonly unit: UnitRecord;
  /** For people, such as `QEMU guest vm1`. */
  readonly description: string;
  /** Path of the binary and its arguments. */
  readonly argv: readonly string[];
  readonly start: Pick<LaunchStart, "cwd" | "environment" | "user">;
}

/**
 * The command that starts a transient unit. systemd expands `$NAME` in arguments, also those of a
 * transient unit, and takes `$$` for `$` (systemd.service(5), "Command lines").
 */
export function systemdRun({ unit, description, argv, start }: UnitCommand): string[] {
  const { cwd, environment, user } = start;
  return [
    "systemd-run",
    ...(unit.scope === "user" ? ["--user"] : []),
    ...["--quiet", "--no-ask-password", `--unit=${unit.name}`],
    `--description=${description}`,
    "--service-type=exec",
    `--property=WorkingDirectory=${cwd}`,
    "--property=Restart=no",
    "--property=KillMode=mixed",
    `--property=TimeoutStopSec=${STOP_S}`,
    ...(unit.scope === "user" ? [] : ["--property=LimitMEMLOCK=infinity"]),
    ...(user === null ? [] : [`--property=User=${user.user}`, `--property=Group=${user.group}`]),
    ...Object.entries(environment).map(([name, value]) => `--setenv=${name}=${value}`),
    ...["--", ...argv.map((word) => word.replaceAll("$", "$$$$"))],
  ];
}

/**
 * The text of a unit file that starts the guest at boot.
 *
 * @param command with `moved`, the file that says that the guest has left this host.
 */
export function unitFile(command: UnitCommand & { readonly moved: string }): string {
  const { unit, description, argv, start, moved } = command;
  const { cwd, environment, user } = start;
  const isSystem = unit.scope === "system";
  return [
    "[Unit]",
    `Description=${unitText(description)}`,
    `ConditionPathExists=!${unitText(moved)}`,
    ...(isSystem
      ? ["After=network-online.target remote-fs.target", "Wants=network-online.target"]
      : []),
    "",
    "[Service]",
    "Type=exec",
    `WorkingDirectory=${unitText(cwd)}`,
    ...(user === null ? [] : [`User=${unitText(user.user)}`, `Group=${unitText(user.group)}`]),
    ...Object.entries(environment).map(([name, value]) =>
      `Environment=${unitWord(`${name}=${value}`, false)}`
    ),
    `ExecStart=${argv.map((word) => unitWord(word, true)).join(" ")}`,
    "Restart=no",
    "KillMode=mixed",
    `TimeoutStopSec=${STOP_S}`,
    ...(isSystem ? ["LimitMEMLOCK=infinity"] : []),
    "",
    "[Install]",
    `WantedBy=${isSystem ? "multi-user.target" : "default.target"}`,
    "",
  ].join("\n");
}

/** A whole value: `%` begins a specifier. A control character could end its line. */
function unitText(text: string): string {
  return text.replaceAll("%", "%%").replace(CONTROL, " ");
}

/** A word of a list (systemd.service(5), "Quoting" in systemd.syntax(7)). */
function unitWord(word: string, isArgument: boolean): string {
  const escaped = word.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%")
    .replace(CONTROL, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
  return `"${isArgument ? escaped.replaceAll("$", "$$$$") : escaped}"`;
}
