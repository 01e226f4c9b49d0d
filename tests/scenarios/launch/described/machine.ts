import { describeProcess } from "../../../../src/cli/host/qemu_process.ts";
import { runProgram } from "../../../../src/cli/host/run_program.ts";
import { openQmp } from "../../../../src/cli/host/open_qmp.ts";
import { messageOf, silentLogger } from "../../../../src/io/mod.ts";
import {
  forDestination,
  parseCommand,
  withPaths,
  writeCommand,
} from "../../../../src/launch/command/mod.ts";
import { currentCommand, describeMachine, type MachineFacts } from "../../../../src/launch/mod.ts";
import { fromRoot } from "../../../../src/launch/plan/path_map.ts";
import { compareMachines } from "../../../../src/migrate/machine/compare.ts";
import { takeInventory } from "../../../../src/migrate/machine/inventory.ts";
import type { QmpClient } from "../../../../src/qmp/mod.ts";
import { qemuBinary } from "../../pair/versions.ts";
import { run } from "../../support/run_checked.ts";
import { poll } from "../../support/waiting.ts";

/** A QEMU that a scenario starts by its whole command line. */
export class Machine implements AsyncDisposable {
  readonly qmp: QmpClient;
  readonly socket: string;
  readonly cwd: string;
  readonly #child: Deno.ChildProcess;
  readonly #words: Promise<string>;

  /** Starts it, and waits until it answers. `args` may have paths from `cwd`. */
  static async start(
    side: "source" | "dest",
    cwd: string,
    args: readonly string[],
  ): Promise<Machine> {
    const socket = `${cwd}/qmp.sock`;
    const child = new Deno.Command(qemuBinary(side), {
      args: [...args],
      cwd,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const words = new Response(child.stderr).text();
    let ended = false;
    child.status.then(() => ended = true);
    try {
      const qmp = await poll(`QMP of the ${side}`, async () => {
        if (ended) throw new Error(`${side}: QEMU ended: ${await words}\n${args.join(" ")}`);
        return await openQmp(socket, null, silentLogger).catch(() => undefined);
      });
      return new Machine(child, words, qmp, socket, cwd);
    } catch (error) {
      if (!ended) child.kill("SIGKILL");
      throw error;
    }
  }

  private constructor(
    child: Deno.ChildProcess,
    words: Promise<string>,
    qmp: QmpClient,
    socket: string,
    cwd: string,
  ) {
    this.#child = child;
    this.#words = words;
    this.qmp = qmp;
    this.socket = socket;
    this.cwd = cwd;
  }

  async execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    try {
      return await this.qmp.executeUntyped(command, args);
    } catch (error) {
      throw new Error(`${command} ${JSON.stringify(args)}: ${messageOf(error)}`, { cause: error });
    }
  }

  async hmp(line: string): Promise<string> {
    const text = await this.qmp.execute("human-monitor-command", { "command-line": line });
    if (/error|unknown|invalid/i.test(text)) throw new Error(`${line}: ${text}`);
    return text;
  }

  /** Ends it and returns what it has printed. */
  async end(): Promise<string> {
    await this[Symbol.asyncDispose]();
    return await this.#words;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
  }
}

/** What came out of a description. */
export interface RoundTrip {
  readonly facts: MachineFacts;
  /** Command line of the machine that was made from it. */
  readonly argv: readonly string[];
  /** In which both machines differ; empty for the same machine. */
  readonly differences: readonly string[];
}

/**
 * Describes a machine, makes a second one in `dir` from the description alone, compares both and migrates
 * the guest's RAM and device state.
 */
export async function roundTrip(source: Machine, dir: string): Promise<RoundTrip> {
  const { qmp, cwd } = source;
  const process = await describeProcess(runProgram, source.socket);
  const command = parseCommand(process.argv);
  const facts = await describeMachine({ qmp, run: runProgram, process, command, cwd });
  const paths = new Map<string, string>();
  for (const [i, image] of facts.images.entries()) {
    const path = `${dir}/${i}, ${image.path.split("/").at(-1)}`;
    paths.set(fromRoot(image.path, cwd), path);
    const options = [
      ...(image.clusterSize === null ? [] : [`cluster_size=${image.clusterSize}`]),
      ...(image.compat === null ? [] : [`compat=${image.compat}`]),
      ...(image.extendedL2 ? ["extended_l2=on"] : []),
    ];
    await run([
      ...["qemu-img", "create", "-q", "-f", image.format],
      ...(options.length > 0 ? ["-o", options.join(",")] : []),
      path,
      String(image.virtualSize),
    ]);
  }
  const moved = withPaths(currentCommand(command, facts, Object.keys(facts.flat)), (path) => {
    return paths.get(fromRoot(path, cwd)) ?? (path.endsWith("qmp.sock") ? `${dir}/qmp.sock` : path);
  });
  const { command: there } = forDestination(moved, {
    ...{ added: [], removed: [], machineType: facts.machineType },
  });
  // Both machines run on this host, which has each port and interface only once.
  const argv = writeCommand(there).map((word) =>
    word.replace(/:\d+(?=-10\.9\.0\.15:22)/, ":0").replace(
      /ifname=vmferry-d\d+/,
      "ifname=vmferry-e%d",
    )
  );
  await using destination = await Machine.start("dest", dir, argv.slice(1));
  const [a, b] = [await takeInventory(qmp), await takeInventory(destination.qmp)];
  const differences = compareMachines(a, b).map(({ message }) => message);
  if (differences.length === 0) await migrate(source, destination, `${dir}/ram.sock`);
  return { facts, argv, differences };
}

/** Moves RAM and device state: QEMU refuses what does not fit. */
async function migrate(source: Machine, destination: Machine, path: string): Promise<void> {
  await destination.execute("migrate-incoming", { uri: `unix:${path}` });
  await source.execute("migrate", { uri: `unix:${path}` });
  await poll("the migration's end", async () => {
    const { status, "error-desc": why } = await source.execute("query-migrate") as {
      status?: string;
      "error-desc"?: string;
    };
    if (status === "failed") {
      throw new Error(`The migration failed: ${why} ${await destination.end()}`);
    }
    return status === "completed" ? true : undefined;
  });
  await poll("the guest at the destination", async () => {
    const { status } = await destination.execute("query-status")
      .catch(async (error) => {
        throw new Error(`${messageOf(error)}: ${await destination.end()}`);
      }) as { status: string };
    return status === "inmigrate" ? undefined : true;
  });
}
