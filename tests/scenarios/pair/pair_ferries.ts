import { filesIn, processesOf } from "../support/host.ts";
import type { PairOptions, PairSide } from "./pair_options.ts";
import type { ScenarioContext } from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";

/** Given to every `migrate` of a pair: `VMFERRY_MIGRATE="--multifd 4"` plays its scenarios that way. */
function moreOptions(): string[] {
  return Deno.env.get("VMFERRY_MIGRATE")?.split(" ") ?? [];
}

/** How many connections each `migrate` of a pair makes where the scenario does not say. */
export function connectionsOfEach(): number {
  const more = moreOptions();
  const at = more.indexOf("--connections");
  return at < 0 ? 1 : Number(more[at + 1]);
}

/** Starts the vmferrys of a pair, and finds what they leave on the host. */
export class PairFerries {
  /** Mode 0600, for `--secret-file`. */
  readonly secretFile: string;
  readonly #context: ScenarioContext;
  readonly #options: PairOptions;
  readonly #started: Vmferry[] = [];

  /** Makes the secret and the run directories. */
  static async prepare(context: ScenarioContext, options: PairOptions): Promise<PairFerries> {
    const dir = options.dir ?? context.dir;
    const secretFile = `${dir}/secret`;
    await Deno.writeTextFile(secretFile, `${crypto.randomUUID()}\n`, { mode: 0o600 });
    for (const side of ["source", "dest"]) {
      await Deno.mkdir(`${dir}/run-${side}`);
    }
    return new PairFerries(context, options, secretFile);
  }

  private constructor(context: ScenarioContext, options: PairOptions, secretFile: string) {
    this.#context = context;
    this.#options = options;
    this.secretFile = secretFile;
  }

  /** Where the sockets of an end are made. */
  runDir(side: PairSide): string {
    return `${this.#options.dir ?? this.#context.dir}/run-${side}`;
  }

  /** Starts a command with `--json` and its side's run directory, unless `args` name another. */
  start(
    command: string,
    prefix: readonly string[] | undefined,
    side: PairSide,
    args: readonly string[],
  ): Vmferry {
    const own = args.includes("--run-dir") ? [] : ["--run-dir", this.runDir(side)];
    if (command === "migrate") own.push(...moreOptions());
    const ferry = this.#context.vmferry({
      name: command,
      prefix: prefix ?? [],
      args: [command, "--json", ...own, ...args],
    });
    this.#started.push(ferry);
    return ferry;
  }

  /** The arguments, with the pair's secret unless they name one. */
  withSecret(args: readonly string[]): string[] {
    if (args.includes("--secret-file")) return [...args];
    return ["--secret-file", this.secretFile, ...args];
  }

  /** The files and processes that are left, and lines that are no events; a sentence each. */
  async leftOnHost(): Promise<string[]> {
    const faults: string[] = [];
    for (const side of ["source", "dest"] as const) {
      for (const file of await filesIn(this.runDir(side))) {
        faults.push(`${side}: left file ${file}`);
      }
    }
    for (const ferry of this.#started) {
      for (const process of await processesOf(ferry.mark)) {
        faults.push(`${ferry.name}: left process ${process}`);
      }
      for (const line of ferry.strayLines) faults.push(`${ferry.name}: no JSON event: ${line}`);
    }
    return faults;
  }
}
