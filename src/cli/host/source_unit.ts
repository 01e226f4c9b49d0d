/**
 * The systemd unit of a QEMU whose guest has left: keeps it from starting the guest a second time.
 *
 * @module
 */
import { messageOf } from "../../io/mod.ts";
import type { QemuProcess } from "../../launch/mod.ts";
import type { RunProgram } from "../../host/mod.ts";

/** How long systemctl may take, ms. */
const SYSTEMCTL_MS = 20_000;

/** States of `systemctl is-enabled` in which systemd starts the unit by itself at boot. */
const AT_BOOT = ["enabled", "enabled-runtime", "generated", "alias"];

/** systemd reads drop-ins in the order of their names: the last one counts. */
const DROP_IN = "zz-vmferry.conf";

/** They say when a service is restarted. */
const RESTARTS = "Restart,RestartForceExitStatus";

/** Writes the drop-in `$2` of unit `$1`, has systemd read it, and prints when the unit is restarted then. */
const HOLD = `
unit=$1 path=$2 properties=$3
shift 3
umask 022
mkdir -p -- "\${path%/*}" && printf '[Service]\\nRestart=no\\nRestartForceExitStatus=\\n' >"$path" || exit 1
systemctl "$@" daemon-reload && systemctl "$@" show "--property=$properties" -- "$unit"
`;

type Unit = NonNullable<QemuProcess["unit"]>;

/** A guest that has left. */
export interface LeftUnits {
  /** The QEMU that it has left, if that is known. */
  readonly process: Pick<QemuProcess, "unit" | "user"> | undefined;
  /** Units of vmferry that start this guest at boot, from an earlier launch to this host. */
  readonly own: readonly string[];
  /** The destination starts the guest at boot from now on. */
  readonly persist: boolean;
}

/** What was done. */
export interface Retired {
  /** For the user, a sentence each. */
  readonly messages: readonly string[];
  /** Why the source's QEMU must not be ended; `undefined` where it may. */
  readonly mustStay: string | undefined;
}

/**
 * Keeps systemd from starting a guest that has left: when its QEMU ends, and at boot. The unit's processes go
 * on. Without `persist` the user's own unit stays enabled, and the user has to know. Never rejects.
 *
 * @param uid that of this vmferry.
 */
export async function retireUnits(
  run: RunProgram,
  { process, own, persist }: LeftUnits,
  uid: number,
): Promise<Retired> {
  const { messages, mustStay } = await holdUnit(run, process, uid);
  const unit = process?.unit;
  if (process && unit?.name.endsWith(".service") && !own.includes(unit.name)) {
    const manager = managerOf(unit, process.user.uid, uid);
    const disabled = await disable(run, unit, manager, { mayDisable: persist, persist });
    if (disabled !== undefined) messages.push(disabled);
  }
  for (const name of own) {
    const each: Unit = { name, scope: uid === 0 ? "system" : "user" };
    const manager = managerOf(each, uid, uid);
    const disabled = await disable(run, each, manager, { mayDisable: true, persist });
    if (disabled !== undefined) messages.push(disabled);
  }
  return { messages, mustStay };
}

/**
 * Keeps systemd from starting QEMU again once it ends, until the next boot: its guest runs at the destination,
 * or may. Never rejects.
 *
 * @param process the QEMU, if it is known.
 * @param uid that of this vmferry.
 */
export async function holdUnit(
  run: RunProgram,
  process: LeftUnits["process"],
  uid: number,
): Promise<{ messages: string[]; mustStay: string | undefined }> {
  const unit = process?.unit;
  if (!process || !unit?.name.endsWith(".service")) return { messages: [], mustStay: undefined };
  const held = await hold(run, unit, process.user.uid, uid);
  return {
    messages: held ? [held.message] : [],
    mustStay: held?.failed ? held.message : undefined,
  };
}

/**
 * The command that ends a QEMU whose guest has left, and keeps its unit from starting it at boot; `undefined`
 * where it runs in no service.
 */
export function endCommand({ unit }: Pick<QemuProcess, "unit">): string | undefined {
  return unit?.name.endsWith(".service") ? by(unit, "disable --now") : undefined;
}

/** Options of systemctl for the manager of a unit. */
function managerOf({ scope }: Unit, owner: number, uid: number): string[] {
  if (scope === "system") return [];
  return owner === uid ? ["--user"] : ["--user", `--machine=${owner}@.host`];
}

async function hold(
  run: RunProgram,
  unit: Unit,
  owner: number,
  uid: number,
): Promise<{ readonly message: string; readonly failed: boolean } | undefined> {
  const { name, scope } = unit;
  const manager = managerOf(unit, owner, uid);
  const base = scope === "system" ? "/run/systemd/system" : `/run/user/${owner}/systemd/user`;
  const path = `${base}/${name}.d/${DROP_IN}`;
  const show = ["systemctl", ...manager, "show", `--property=${RESTARTS}`, "--", name];
  const timeoutMs = SYSTEMCTL_MS;
  let restarts = "";
  let why: string;
  try {
    restarts = restartsIn((await run(show, { timeoutMs })).stdout) ?? "";
    if (restarts === "") return undefined;
    const argv = ["sh", "-c", HOLD, "sh", name, path, RESTARTS, ...manager];
    const { stdout, stderr } = await run(argv, { timeoutMs });
    if (restartsIn(stdout) === "") {
      const message = `${name} has ${restarts} at the source and would start the guest a ` +
        `second time there. vmferry has set Restart=no until the next boot, in ${path}`;
      return { message, failed: false };
    }
    why = stderr.trim();
  } catch (error) {
    // Whether it does is not known.
    if (restarts === "") return undefined;
    why = messageOf(error);
  }
  const because = why === "" ? "" : `: ${why}`;
  const message =
    `${name} has ${restarts} at the source, where it would start the guest a second ` +
    `time, and Restart=no cannot be set${because}. End QEMU there with '${by(unit, "stop")}' only`;
  return { message, failed: true };
}

/** Those of {@link RESTARTS} that restart a unit; empty: nothing does; `undefined`: systemd has not said so. */
function restartsIn(text: string): string | undefined {
  if (!/^Restart=/m.test(text)) return undefined;
  const lines = text.trim().split("\n");
  return lines.filter((line) => !["Restart=no", "RestartForceExitStatus="].includes(line)).join(
    " ",
  );
}

/** @returns what was done, for the user; `undefined` where the unit does not start at boot. */
async function disable(
  run: RunProgram,
  unit: Unit,
  manager: readonly string[],
  { mayDisable, persist }: { readonly mayDisable: boolean; readonly persist: boolean },
): Promise<string | undefined> {
  const systemctl = (...verb: string[]) =>
    run(["systemctl", ...manager, ...verb, "--", unit.name], { timeoutMs: SYSTEMCTL_MS });
  try {
    const state = (await systemctl("is-enabled")).stdout.trim();
    if (!AT_BOOT.includes(state)) return undefined;
    if (!mayDisable) {
      return `${unit.name} still starts the guest at boot at the source, where it would run a second time. ` +
        `Run '${by(unit, "disable")}' there`;
    }
    const { code, stderr } = await systemctl("disable", "--quiet");
    if (code !== 0) return notDisabled(unit, stderr.trim());
    const there = persist ? ": the guest starts at the destination from now on" : "";
    return `${unit.name} is disabled at the source${there}`;
  } catch (error) {
    return notDisabled(unit, messageOf(error));
  }
}

/** The command for the user. */
function by({ name, scope }: Unit, verb: "disable" | "disable --now" | "stop"): string {
  return `systemctl ${scope === "user" ? "--user " : ""}${verb} ${name}`;
}

function notDisabled(unit: Unit, why: string): string {
  return `${unit.name} still starts the guest at boot at the source: ${why}. Run '${
    by(unit, "disable")
  }' there`;
}
