import { type Logger, systemClock } from "../../io/mod.ts";
import type { LaunchHost, NewFile, SiteQemuOf } from "../../launch/mod.ts";
import { connectUnix } from "../../transport/mod.ts";
import { describeHost } from "./describe_host.ts";
import { siteEnvironment } from "./site/hooks.ts";
import { isListenedOn } from "./open_qmp.ts";
import { qmpProcesses, qmpServers } from "./find_qemu.ts";
import { runProgram, startProgram } from "./run_program.ts";
import { runSiteCommand } from "./site/site_command.ts";
import { SiteQemu } from "./site/site_qemu.ts";

/** Prints this user's name, home directory and `$XDG_STATE_HOME`, a line each. */
const WHO = 'id -un; printf "%s\\n%s\\n" "$HOME" "$XDG_STATE_HOME"';

/**
 * This host as the destination of a launch.
 *
 * @param site the commands that start and stop its QEMU.
 * @param peer address of the source, for those commands.
 */
export async function launchHost(
  log: Logger,
  site?: LaunchHost["site"],
  peer: () => string = () => "",
): Promise<LaunchHost> {
  const { uid, name, home, own, stateDir } = await whoIsThis();
  return {
    run: runProgram,
    start: startProgram,
    site,
    siteQemu: (of) => siteQemu(of, log, peer),
    describeHost: describeHost(log),
    connectUnix: (path) => connectUnix(path),
    serversOf: (path) => qmpServers(runProgram, path),
    createFile,
    user: { uid, name: name || `user ${uid}` },
    stateDir,
    logDir: uid === 0 ? "/var/log/vmferry" : `${own}/vmferry/log`,
    home: home.startsWith("/") ? home : undefined,
    wallMs: () => Date.now(),
    clock: systemClock,
    log,
  };
}

/** The directory with the command lines of guests that were launched on this host by this user. */
export async function stateDirectory(): Promise<string> {
  return (await whoIsThis()).stateDir;
}

async function whoIsThis() {
  const uid = Deno.uid() ?? 0;
  const { stdout } = await runProgram(["sh", "-c", WHO], { timeoutMs: 60_000 });
  const [name = "", home = "", state = ""] = stdout.split("\n");
  const own = state.startsWith("/") ? state : `${home}/.local/state`;
  const stateDir = uid === 0 ? "/var/lib/vmferry" : `${own}/vmferry`;
  return { uid, name, home, own, stateDir };
}

/** A QEMU of commands of the user. */
export function siteQemu(of: SiteQemuOf, log: Logger, peer: () => string = () => ""): SiteQemu {
  const { qmp, guest } = of;
  return new SiteQemu({
    ...of,
    environment: () => siteEnvironment({ role: "destination", qmp, peer: peer(), ...guest }),
    ...{
      answers: isListenedOn,
      processes: (path: string) => qmpProcesses(runProgram, path),
      run: runSiteCommand,
      clock: systemClock,
      log,
    },
  });
}

/** Creates a file as `LaunchHost.createFile` says. */
export async function createFile(path: string): Promise<NewFile> {
  const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  let isOpen = true;
  return {
    write: async (bytes) => {
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    },
    sync: () => file.sync(),
    close: () => {
      if (isOpen) file.close();
      isOpen = false;
    },
  };
}
