/**
 * The plan of a launch, from what both hosts know. Changes nothing.
 *
 * @module
 */
import { MigrationError, patience } from "../../migrate/mod.ts";
import type { DestinationPeer } from "../../migrate/mod.ts";
import { type DiskDescription, type Params, RpcError } from "../../rpc/mod.ts";
import { pathsOf } from "../command/mod.ts";
import type { MachineDescription } from "../description.ts";
import { bareNames, translate } from "../plan/machine.ts";
import { fromRoot } from "../plan/path_map.ts";
import { type LaunchPlan, planLaunch } from "../plan/plan.ts";
import { asked } from "../plan/planned_file.ts";
import type { LaunchWishes } from "../plan/wishes.ts";
import { type FileAccess, filesIn, lookAtFiles, READ_BYTES_PER_MS } from "./files.ts";

/** How long the destination may take to describe its host, ms. */
const HOST_MS = 90_000;
/** The same for files, without the time to read those whose content is compared. */
const FILES_MS = 120_000;
/** How long a program that names the architecture may take, ms. */
const UNAME_MS = 10_000;

/** What a plan is made from. */
export interface PlanOptions extends FileAccess {
  /** The source's machine. */
  readonly description: MachineDescription;
  /** The options of the launch. */
  readonly wishes: LaunchWishes;
  /** The disks that are copied. */
  readonly disks: readonly DiskDescription[];
  /** The source's QMP socket, as the user gave it, from the root. */
  readonly qmpPath: string;
  /** The path without symbolic links where there is such a file. */
  readonly realPath: (path: string) => Promise<string>;
}

/**
 * Asks the destination and plans the launch.
 *
 * @throws {MigrationError} kind `refused`, code `launch-not-served`, when the destination takes no launch.
 */
export async function makePlan(peer: LaunchPeer, options: PlanOptions): Promise<LaunchPlan> {
  const { description, wishes, disks, signal } = options;
  const { process, facts } = description;
  const copied = disks.map(({ name }) => name);
  const binary = process.binary.slice(process.binary.lastIndexOf("/") + 1);
  const host = await ask(
    peer,
    "describeLaunchHost",
    {
      ...{ binary, path: process.binary, machine: facts.machineType },
      user: { user: process.user.name, group: process.user.group },
    },
    HOST_MS,
    signal,
  );
  const qmp = await qmpOf(options);
  const near = await filesIn(process.cwd, bareNames(description), options);
  const machine = translate(description, wishes, copied, qmp, host.site !== null, near);
  const here = await lookAtFiles(machine.files, options);
  const files = machine.files.map((file, i) => asked(file, here[i]));
  const read = files.reduce(
    (sum, file) => sum + (file.sha256 === null ? 0 : file.sizeBytes ?? 0),
    0,
  );
  const there = files.length === 0 ? [] : (await ask(
    peer,
    "describeLaunchFiles",
    { files },
    FILES_MS + read / READ_BYTES_PER_MS,
    signal,
  )).files;
  if (there.length !== files.length) {
    throw new RpcError("bad-result", `Asked for ${files.length} files, got ${there.length}`);
  }
  const uname = await options.run(["uname", "-m"], { timeoutMs: UNAME_MS, signal });
  const architecture = uname.code === 0 ? uname.stdout.trim() : "";
  return planLaunch({ description, machine, wishes, disks, architecture, here, host, there });
}

/** The QMP socket by the path that the command line has for it: another link may lead to the same socket. */
async function qmpOf({ description, qmpPath, realPath }: PlanOptions): Promise<string> {
  const { command, process } = description;
  const real = await realPath(qmpPath);
  for (const { kind, path } of pathsOf(command)) {
    if (kind !== "socket") continue;
    const from = fromRoot(path, process.cwd);
    if (from === qmpPath || await realPath(from) === real) return from;
  }
  return qmpPath;
}

/** The destination as a plan needs it. */
export interface LaunchPeer {
  /** Makes the calls. */
  readonly rpc: Pick<DestinationPeer["rpc"], "call">;
  /** Renews their deadlines. */
  readonly session: Pick<DestinationPeer["session"], "progress" | "patienceMs">;
}

type Asked = "describeLaunchHost" | "describeLaunchFiles";

async function ask<P extends Asked>(
  peer: LaunchPeer,
  call: P,
  params: Params<P>,
  ms: number,
  signal: AbortSignal,
) {
  const { stallMs: timeoutMs, progress } = patience(ms, () => peer.session);
  try {
    return await peer.rpc.call(call, params, { timeoutMs, progress, signal });
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== "unknown-procedure") throw error;
    throw new MigrationError("refused", "launch-not-served", "destination", NOT_SERVED, {
      cause: error,
    });
  }
}

const NOT_SERVED =
  "it starts no QEMU, expected 'vmferry receive --launch' of version 1.1 or later. Start " +
  "that there, or give an ssh:// destination";
