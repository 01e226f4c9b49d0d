/**
 * `make test`: every tier in order, a line with its time each, and `N passed, N failed` of all of
 * them as the last line. `make test TIERS=check,pure` runs some of them.
 *
 * @module
 */
import { project } from "./run.ts";

interface Tier {
  readonly name: string;
  /** Arguments for Deno. */
  readonly args: readonly string[];
  /** How its output tells what ran; without, the tier itself counts as one test. */
  readonly counts?: RegExp;
  /** It makes network namespaces, mounts and files of other users, which takes root. */
  readonly root?: boolean;
}

/** In front of what takes root; sudo lets nothing of the environment through but what is named. */
const AS_ROOT = Deno.uid() === 0
  ? []
  : ["sudo", "-n", "--preserve-env=QEMU,QEMU_DEST,VMFERRY,VMFERRY_ACCEL,NO_COLOR", "--"];

const files = testFiles();
const DENO_TEST = /(\d+) passed(?: \([^)]*\))? \| (\d+) failed/;

/** Scenarios at a time: most of them wait, and a pair of QEMUs is busy while it boots. */
const JOBS = String(Math.min(3, Math.max(2, navigator.hardwareConcurrency)));

const TIERS: readonly Tier[] = [
  { name: "check", args: ["task", "--quiet", "check"] },
  {
    name: "pure",
    // No permission at all, and no question for one. --doc runs the examples of docstrings, too.
    args: [
      ...["test", "--doc", "--quiet", "--no-prompt", "--parallel"],
      ...files.filter((f) => !isNet(f)),
      ...exampleFiles(),
    ],
    counts: DENO_TEST,
  },
  {
    name: "net",
    // The tier "check" has checked the types.
    args: ["test", "--quiet", "-A", "--no-check", "--parallel", ...files.filter(isNet)],
    counts: DENO_TEST,
    root: true,
  },
  { name: "build", args: ["run", "-A", project("tools/build.ts")] },
  {
    name: "scenarios",
    args: ["task", "--quiet", "scenario", "--all", "--jobs", JOBS],
    counts: /^(\d+) passed, (\d+) failed$/m,
    root: true,
  },
];

const wanted = Deno.args[0]?.split(",") ?? TIERS.map((tier) => tier.name);
for (const name of wanted) {
  if (!TIERS.some((tier) => tier.name === name)) {
    throw new Error(`There is no tier "${name}", there is ${TIERS.map((t) => t.name).join(", ")}`);
  }
}

if (AS_ROOT.length > 0 && TIERS.some((tier) => tier.root && wanted.includes(tier.name))) {
  const { success } = await new Deno.Command("sudo", { args: ["-n", "true"] }).output()
    .catch(() => ({ success: false }));
  if (!success) {
    console.error(
      "The tiers net and scenarios take root: run this as root, or where sudo asks for no password",
    );
    Deno.exit(1);
  }
}

let passed = 0;
let failed = 0;
const summary: string[] = [];
for (const tier of TIERS.filter((t) => wanted.includes(t.name))) {
  const result = await runTier(tier);
  passed += result.passed;
  failed += result.failed;
  summary.push(
    `${tier.name.padEnd(10)} ${result.seconds.toFixed(1).padStart(6)} s  ` +
      `${result.passed} passed, ${result.failed} failed`,
  );
  // Scenarios with a program that was not built tell nothing.
  if (tier.name === "build" && result.failed > 0) break;
}
console.log(`\n${summary.map((line) => `  ${line}`).join("\n")}\n`);
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed > 0 || passed === 0 ? 1 : 0);

async function runTier(
  tier: Tier,
): Promise<{ passed: number; failed: number; seconds: number }> {
  console.log(`--- ${tier.name}`);
  const start = performance.now();
  const [program, ...args] = [...(tier.root ? AS_ROOT : []), Deno.execPath(), ...tier.args];
  const child = new Deno.Command(program!, {
    args,
    cwd: project(""),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    await Deno.stdout.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  const { success } = await child.status;
  const seconds = (performance.now() - start) / 1000;
  if (!tier.counts) return { passed: success ? 1 : 0, failed: success ? 0 : 1, seconds };
  const counts = tier.counts.exec(text);
  const ran = { passed: Number(counts?.[1] ?? 0), failed: Number(counts?.[2] ?? 0), seconds };
  // A tier that ran nothing, or that failed beside its tests, is a failure too.
  if (ran.passed + ran.failed === 0 || (!success && ran.failed === 0)) ran.failed++;
  return ran;
}

function isNet(file: string): boolean {
  return file.endsWith("_net_test.ts");
}

/** Sources whose docstrings have examples. */
function exampleFiles(directory = "src"): string[] {
  return [...Deno.readDirSync(project(directory))].flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) return exampleFiles(path);
    return Deno.readTextFileSync(project(path)).includes("* @example") ? [path] : [];
  }).sort();
}

function testFiles(directory = "tests"): string[] {
  return [...Deno.readDirSync(project(directory))].flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) return testFiles(path);
    return entry.name.endsWith("_test.ts") ? [path] : [];
  }).sort();
}
