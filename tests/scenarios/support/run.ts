/**
 * Runs scenarios: `deno task scenario NAME… | GROUP/… | --all | --slow | --list [--repeat N] [--jobs N] [--keep]`.
 * A row for each run, the logs of each failure, and `N passed, N failed` in the end.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { singlePass } from "../pair/single_pass.ts";
import { accelerator } from "./qemu_arguments.ts";
import { type Scenario, ScenarioContext } from "./scenario.ts";

const SCENARIOS = new URL("../", import.meta.url);

/** Directories of tests/scenarios that hold scenarios, a file each. */
const GROUPS = [
  "program",
  "disks",
  "guests",
  "connections",
  "lanes",
  "report",
  "endings",
  "busy",
  "multifd",
  "postcopy",
  "copy",
  "libvirt",
  "libvirt_faults",
  "launch",
  "launch_faults",
  "launch_systemd",
  "ansible",
];

/** All scenarios, by name. */
async function scenarios(): Promise<Map<string, Scenario>> {
  const found = new Map<string, Scenario>();
  const files = GROUPS.flatMap((group) =>
    [...Deno.readDirSync(new URL(group, SCENARIOS))]
      .filter(({ isFile }) => isFile).map(({ name }) => `${group}/${name}`)
  );
  for (const file of files) {
    const { scenario } = await import(new URL(file, SCENARIOS).href) as { scenario?: Scenario };
    if (!scenario) throw new Error(`tests/scenarios/${file} exports no "scenario"`);
    const [, name] = file.split("/");
    if (`${scenario.name}.ts` !== name) {
      throw new Error(`tests/scenarios/${file} names its scenario "${scenario.name}"`);
    }
    found.set(scenario.name, scenario);
  }
  return new Map([...found].sort(([a], [b]) => a < b ? -1 : 1));
}

/** The scenarios of a group, which is given with a slash behind its name, such as `launch/`. */
function namesIn(group: string): string[] | undefined {
  if (!group.endsWith("/") || !GROUPS.includes(group.slice(0, -1))) return undefined;
  return [...Deno.readDirSync(new URL(group, SCENARIOS))]
    .filter(({ isFile }) => isFile).map(({ name }) => name.replace(/\.ts$/, "")).sort();
}

/** So many times its own limit a scenario may take: the limit ends one that hangs, not one on a busy machine. */
const PATIENCE = 3;

/** Runs one scenario once and prints its row. */
async function runOne(scenario: Scenario, keep: boolean): Promise<boolean> {
  const limitMs = PATIENCE * scenario.timeoutMs;
  const start = performance.now();
  const dir = await Deno.makeTempDir({ prefix: "vmferry-" });
  const controller = new AbortController();
  const context = new ScenarioContext(dir, controller.signal);
  running.add(context);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const reason = new Error(`Not done after ${limitMs / 1000} s`);
    controller.abort(reason);
    late.reject(reason);
  }, limitMs);
  let figures = "";
  let failure: unknown;
  try {
    const run = scenario.run(context);
    run.catch(() => {}); // one that fails after its time was up has been reported
    figures = await Promise.race([run, late.promise]) ?? "";
  } catch (error) {
    failure = error ?? new Error("Threw nothing");
  } finally {
    clearTimeout(timer);
  }
  try {
    await context[Symbol.asyncDispose]();
  } catch (error) {
    failure ??= error;
  }
  running.delete(context);
  const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6);
  const row = `${failure ? "FAIL" : "ok  "} ${scenario.name.padEnd(24)} ${seconds} s  `;
  console.log((row + (failure ? "" : figures)).trimEnd());
  if (failure) {
    console.log(`  ${failure instanceof Error ? failure.stack : failure}\n${context.report()}`);
    if (keep) console.log(`  --- kept ${dir}`);
  }
  if (!(failure && keep)) await Deno.remove(dir, { recursive: true });
  return failure === undefined;
}

const running = new Set<ScenarioContext>();

async function main(): Promise<number> {
  const args = parseArgs(Deno.args, {
    boolean: ["all", "slow", "list", "keep"],
    string: ["repeat", "jobs"],
    unknown: (_arg, key) => {
      if (key === undefined) return true;
      throw new Error(`Unknown flag --${key}`);
    },
  });
  const known = await scenarios();
  if (args.list || (args._.length === 0 && !args.all && !args.slow)) {
    for (const scenario of known.values()) {
      console.log(`${scenario.name.padEnd(24)} ${scenario.about}${whenOf(scenario)}`);
    }
    return args.list ? 0 : 2;
  }
  const chosen = args.all || args.slow
    ? several(known, { all: args.all === true, slow: args.slow === true })
    : named(known, args._.map(String));
  const queue = chosen.flatMap((scenario) =>
    Array<Scenario>(count(args.repeat, "repeat")).fill(scenario)
  );
  let passed = 0;
  let failed = 0;
  let notTried = 0;
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const lacking = next.ramInPasses && singlePass();
      if (lacking) {
        console.log(`--   ${next.name.padEnd(24)}          not tried: ${lacking}`);
        notTried++;
      } else if (await runOne(next, args.keep === true)) passed++;
      else failed++;
    }
  };
  await Promise.all(Array.from({ length: count(args.jobs, "jobs") }, worker));
  if (notTried > 0) console.log(`${notTried} not tried`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

function whenOf({ long, slow }: Scenario): string {
  if (long) return " (only by name, not with --all)";
  return slow ? " (not with --all where there is no KVM)" : "";
}

/** The scenarios of `--all`, and of `--slow`; says which `--all` leaves out. */
function several(
  known: ReadonlyMap<string, Scenario>,
  { all, slow }: { readonly all: boolean; readonly slow: boolean },
): Scenario[] {
  const usual = [...known.values()].filter(({ long }) => !long);
  if (!all) return usual.filter((scenario) => scenario.slow);
  const leavesOutSlow = !slow && accelerator() === "tcg";
  const leaveOut = (why: string, left: readonly Scenario[]) =>
    console.log(`not with --all, ${why}: ${left.map(({ name }) => name).join(", ")}`);
  leaveOut("as they take minutes", [...known.values()].filter(({ long }) => long));
  if (!leavesOutSlow) return usual;
  leaveOut("as there is no KVM ('make slow' runs them)", usual.filter((scenario) => scenario.slow));
  return usual.filter((scenario) => !scenario.slow);
}

/** The scenarios of these names, and of these groups. */
function named(known: ReadonlyMap<string, Scenario>, names: readonly string[]): Scenario[] {
  return names.flatMap((name) => namesIn(name) ?? [name]).map((name) => {
    const scenario = known.get(name);
    if (!scenario) {
      throw new Error(`No scenario "${name}"; there is ${[...known.keys()].join(", ")}`);
    }
    return scenario;
  });
}

function count(text: unknown, flag: string): number {
  if (text === undefined) return 1;
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new Error(`--${flag} is "${text}", expected 1 or more`);
  return n;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, async () => {
    await Promise.allSettled([...running].map((context) => context[Symbol.asyncDispose]()));
    Deno.exit(130);
  });
}

try {
  Deno.exit(await main());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(2);
}
