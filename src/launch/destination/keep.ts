/**
 * What stays with a guest that has come to this host: its command line, and a unit that starts it at boot.
 *
 * @module
 */
import { command } from "../../host/mod.ts";
import { shellCommand } from "../plan/shell.ts";
import type { LaunchHost } from "./host.ts";
import type { LaunchPlan } from "./plan.ts";
import { scopeOf } from "./qemu/qemu.ts";
import type { LaunchRecord, UnitRecord } from "./record.ts";
import { unitFile } from "./qemu/unit.ts";
import { MOVED } from "./moved.ts";
import { bootUnitName, bootUnitPath, MARK } from "./names.ts";

/** Longest wait for systemd to read its units again, ms. */
const RELOAD_MS = 60_000;

/** Writes standard input to the file `$1` with mode `$2`, in a directory for its owner alone. */
const WRITE = `
umask 077
mkdir -p -- "\${1%/*}" && chmod 0700 -- "\${1%/*}" && cat >"$1.new" && chmod "$2" -- "$1.new" &&
  sync -- "$1.new" && mv -fT -- "$1.new" "$1"
`;

/**
 * Writes standard input to the unit file `$1`, which must be missing or begin with `$2`. Only its owner may
 * read it: QEMU's arguments may have a secret.
 */
const WRITE_UNIT = `
umask 022
if [ -e "$1" ] && [ "$(head -n 1 -- "$1")" != "$2" ]; then
  echo "$1 exists, and vmferry has not written it" >&2
  exit 1
fi
mkdir -p -- "\${1%/*}" && rm -f -- "$1.new" && umask 077 && cat >"$1.new" && sync -- "$1.new" &&
  mv -fT -- "$1.new" "$1"
`;

/** The directory of a guest's command line. */
export function guestDirectory({ stateDir }: LaunchHost, { name }: LaunchRecord): string {
  return `${stateDir}/${name}`;
}

/**
 * The command line without its wait for a migration.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(forBoot(["qemu", "-m", "1G", "-incoming", "defer"]), ["qemu", "-m", "1G"]);
 * ```
 */
export function forBoot(argv: readonly string[]): string[] {
  return argv.filter((word, i) => {
    const isOption = (at: number) => /^--?incoming$/.test(argv[at] ?? "");
    return !(isOption(i) && argv[i + 1] === "defer") && !(word === "defer" && isOption(i - 1));
  });
}

/** Writes the command line, as JSON for programs and as a script for people. */
export async function keepCommand(host: LaunchHost, plan: LaunchPlan): Promise<void> {
  const { record, start } = plan;
  const argv = forBoot(plan.argv);
  const directory = guestDirectory(host, record);
  const { cwd, environment, user } = start;
  const json = {
    ...{ version: 1, name: record.name, guest: plan.params.guest, migration: record.migration },
    ...{ argv, cwd, environment, user, unit: record.qemu.unit?.name ?? null, log: record.log },
  };
  const run = user === null || user.user === host.user.name
    ? []
    : ["setpriv", `--reuid=${user.user}`, `--regid=${user.group}`, "--init-groups", "--"];
  const script = [
    "#!/bin/sh",
    "# Starts the guest as vmferry started it here, without a migration. It must not run already.",
    `moved=${shellCommand([`${directory}/${MOVED}`])}`,
    'if [ -e "$moved" ]; then',
    '  cat -- "$moved" >&2',
    '  echo "Remove $moved to start the old copy of this host all the same" >&2',
    "  exit 1",
    "fi",
    `${shellCommand(["cd", "--", cwd])} || exit 1`,
    ...Object.entries(environment).map(([name, value]) =>
      `export ${name}=${shellCommand([value])}`
    ),
    `exec ${[...run, ...argv].map((word) => shellCommand([word])).join(" \\\n  ")}`,
    "",
  ].join("\n");
  await write(host, `${directory}/command.json`, "0600", `${JSON.stringify(json, null, 2)}\n`);
  await write(host, `${directory}/start.sh`, "0700", script);
  // It was here before, had left, and is back.
  await command(host.run, ["rm", "-f", "--", `${directory}/${MOVED}`]);
}

async function write(
  { run }: LaunchHost,
  path: string,
  mode: string,
  input: string,
): Promise<void> {
  const result = await run(["sh", "-c", WRITE, "sh", path, mode], { timeoutMs: RELOAD_MS, input });
  if (result.code !== 0) throw new Error(`${path}: ${result.stderr.trim()}`);
}

/**
 * Has the guest start at boot.
 *
 * @returns the unit's name.
 */
export async function startAtBoot(
  host: LaunchHost,
  plan: LaunchPlan,
): Promise<string> {
  const { record, start } = plan;
  const scope = host.user.uid === 0 ? "system" : "user";
  const unit: UnitRecord = { name: bootUnitName(record.name), scope };
  const description = `QEMU guest ${record.name} (vmferry)`;
  const moved = `${guestDirectory(host, record)}/${MOVED}`;
  const file = unitFile({ unit, description, argv: forBoot(plan.argv), start, moved });
  const text = `${MARK}\n${file}`;
  const argv = ["sh", "-c", WRITE_UNIT, "sh", bootUnitPath(host, record.name), MARK];
  const result = await host.run(argv, { timeoutMs: RELOAD_MS, input: text });
  if (result.code !== 0) throw new Error(result.stderr.trim());
  await command(host.run, ["systemctl", scopeOf(unit), "daemon-reload"], RELOAD_MS);
  await command(host.run, ["systemctl", scopeOf(unit), "enable", "--", unit.name], RELOAD_MS);
  return unit.name;
}
