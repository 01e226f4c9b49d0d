/**
 * A plan as the commands that do the same by hand, for `--dry-run`. Pure.
 *
 * @module
 */
import { imageCommand } from "../../host/mod.ts";
import { systemdRun } from "../destination/qemu/unit.ts";
import type { LaunchPlan } from "./plan.ts";
import { shellCommand } from "./shell.ts";

/** A command of a plan, as a shell reads it. */
export interface PlannedCommand {
  /** The host that it is for. */
  readonly side: "source" | "destination";
  /** The whole command. */
  readonly command: string;
}

/** How scp reaches the destination. */
export interface ScpTarget {
  readonly host: string;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
}

/**
 * The commands, in their order. vmferry itself sends files through the tunnel.
 *
 * @param target default: the destination's own name for its host.
 */
export function commandsOf(
  plan: LaunchPlan,
  target: ScpTarget = { host: plan.hostname },
): PlannedCommand[] {
  const { user, port } = target;
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  const login = user === undefined ? host : `${user}@${host}`;
  const scp = ["scp", "-p", ...(port === undefined ? [] : ["-P", String(port)]), "--"];
  const there = (argv: readonly string[]): PlannedCommand => ({
    side: "destination",
    command: shellCommand(argv),
  });
  return [
    ...plan.newDirectories.map((path) => there(["mkdir", "-p", "--", path])),
    ...plan.images.map((image) => there(imageCommand(image))),
    ...plan.copies.map(({ from, path }): PlannedCommand => ({
      side: "source",
      command: shellCommand([...scp, from, `${login}:${path}`]),
    })),
    plan.site ? { side: "destination", command: plan.site.start } : there(startCommand(plan)),
  ];
}

function startCommand({ start, unit }: LaunchPlan): string[] {
  const { argv, cwd, environment, user, manager } = start;
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  if (manager === "systemd") {
    return systemdRun({ unit, description: `QEMU guest ${unit.name}`, argv, start });
  }
  return [
    ...["env", "-C", cwd, ...variables, "setsid"],
    ...(user ? ["setpriv", `--reuid=${user.user}`, `--regid=${user.group}`, "--init-groups"] : []),
    ...argv,
  ];
}
