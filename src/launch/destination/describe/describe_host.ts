/**
 * Answers `describeLaunchHost`: the destination's QEMU, its tools, and what this user may start.
 *
 * @module
 */
import { command, type RunProgram } from "../../../host/mod.ts";
import type { Params, Result } from "../../../rpc/mod.ts";
import { findOwner } from "../rules/owner.ts";
import { binaryRefusal } from "../rules/allow.ts";
import type { LaunchHost } from "../host.ts";
import type { LaunchTrust } from "../options.ts";

/** How long the programs of one look may take together, ms: a QEMU loads many libraries. */
const LOOK_MS = 30_000;

/**
 * Prints the binary that would run: path `$1`, if it runs here, else the name `$2` in PATH. An empty
 * path is no candidate.
 */
const FIND = `
if [ -n "$1" ] && [ -f "$1" ] && [ -x "$1" ] && "$1" --version >&2 </dev/null; then printf '%s\\n' "$1"
else PATH=$PATH:/usr/libexec command -v -- "$2" || :
fi
`;

/**
 * Prints the host, a member a line: name, architecture, version of qemu-img, whether systemd runs and this
 * user ($1) may start units that outlive the login.
 */
const HOST = `
uname -n
uname -m
qemu-img --version 2>/dev/null | sed -n 's/^qemu-img version \\([^ ]*\\).*/\\1/p;q' || :
echo
units=0
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null && command -v systemctl >/dev/null; then
  if [ "$(id -u)" = 0 ]; then
    systemctl show --property=Version >/dev/null 2>&1 && units=1
  elif [ -e "/var/lib/systemd/linger/$1" ]; then
    systemctl --user show --property=Version >/dev/null 2>&1 && units=1
  fi
fi
echo "units=$units"
`;

/** Answers it. */
export async function describeLaunchHost(
  host: LaunchHost,
  trust: LaunchTrust,
  { binary, path, machine, user: wanted }: Params<"describeLaunchHost">,
): Promise<Result<"describeLaunchHost">> {
  const { run, user, site: commands } = host;
  const site = commands ? { start: commands.start, timeoutMs: commands.timeoutMs } : null;
  const refusal = site ? null : binaryRefusal(trust, binary) ?? null;
  const [facts, owner, found] = await Promise.all([
    hostFacts(host),
    findOwner(host, wanted),
    // Over the network no program is run only because a source names it.
    refusal === null && site === null ? findBinary(run, trust, binary, path) : undefined,
  ]);
  const qemu = found === undefined ? null : await describeQemu(run, found, machine);
  const userProblem = "problem" in owner ? owner.problem : null;
  return { ...facts, qemu, user, userProblem, refusal, site };
}

/** This host without its QEMU. */
export async function hostFacts(
  { run, user }: LaunchHost,
): Promise<
  Pick<Result<"describeLaunchHost">, "hostname" | "architecture" | "qemuImg" | "systemd">
> {
  const text = await command(run, ["sh", "-c", HOST, "sh", user.name], LOOK_MS);
  const [hostname = "", architecture = "", qemuImg = ""] = text.split("\n");
  return {
    ...{ hostname, architecture },
    qemuImg: qemuImg === "" ? null : qemuImg,
    systemd: text.trimEnd().endsWith("units=1"),
  };
}

/**
 * The binary that runs for a name or path of the source; `undefined` where there is none.
 *
 * @param path the source's path; it counts only for a source that may do what the login may.
 */
export async function findBinary(
  run: RunProgram,
  trust: LaunchTrust,
  name: string,
  path: string,
): Promise<string | undefined> {
  const candidate = trust !== "network" && path.startsWith("/") ? path : "";
  const text = await command(run, ["sh", "-c", FIND, "sh", candidate, name]);
  const found = text.trim();
  return found.startsWith("/") ? found : undefined;
}

async function describeQemu(
  run: RunProgram,
  path: string,
  machine: string,
): Promise<Result<"describeLaunchHost">["qemu"]> {
  const [version, machines] = await Promise.all([
    run([path, "--version"], { timeoutMs: LOOK_MS }),
    machine === "" ? undefined : run([path, "-machine", "help"], { timeoutMs: LOOK_MS }),
  ]);
  // Such as "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)".
  const number = /\bversion (\S+)/.exec(version.stdout)?.[1];
  if (version.code !== 0 || number === undefined) return null;
  return { path, version: number, hasMachine: machines ? lists(machines.stdout, machine) : null };
}

/** Whether `-machine help` lists a type: a line begins with its name. */
function lists(help: string, machine: string): boolean {
  return help.split("\n").some((line) => line.split(" ", 1)[0] === machine);
}
