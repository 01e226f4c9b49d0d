/**
 * `make build`: one file, `dist/vmferry`. Compiled where a denort can be had (`DENORT_BIN`, Deno's
 * cache, or its download), else packed with the Deno that runs this. `VMFERRY_BUILD=compiled|packed`
 * allows one kind only.
 *
 * @module
 */
import { deno, project, run } from "./run.ts";
import { pack } from "./pack.ts";

/** How long a denort may take to be downloaded and the program to be compiled, ms. */
const COMPILE_MS = 120_000;

const wanted = Deno.env.get("VMFERRY_BUILD") ?? "any";
if (!["any", "compiled", "packed"].includes(wanted)) {
  throw new Error(`VMFERRY_BUILD is "${wanted}", expected "compiled" or "packed"`);
}

await Deno.mkdir(project("dist"), { recursive: true });
const bundle = project("dist/vmferry.js");
const flags = [
  ...Deno.readTextFileSync(project("tools/permissions.txt"))
    .split("\n").filter((line) => line.startsWith("--")),
  // V8 compiles everything at the start (10 ms) and keeps it. Otherwise it would compile code that runs
  // once in a migration while the guest is paused, perhaps hours later.
  "--v8-flags=--no-lazy,--no-flush-bytecode",
];

await deno(["bundle", "--quiet", "--platform", "deno", "-o", bundle, project("main.ts")]);
const kind = await build();
const file = project("dist/vmferry");
const version = (await run(file, ["--version"])).trim();
if (!version.includes(`(${kind},`)) throw new Error(`${file} --version says "${version}"`);
const size = (Deno.statSync(file).size / 1024 / 1024).toFixed(1);
console.log(`dist/vmferry: ${kind}, ${size} MiB: ${version}`);

async function build(): Promise<"compiled" | "packed"> {
  if (wanted !== "packed") {
    const problem = await compile();
    if (problem === undefined) return "compiled";
    if (wanted === "compiled" || Deno.env.has("DENORT_BIN")) {
      throw new Error(`deno compile failed: ${problem}`);
    }
    console.log("No denort can be had here; packing the running Deno with the program");
  }
  await pack({ bundle, flags, output: project("dist/vmferry") });
  return "packed";
}

/** @returns what went wrong, or `undefined`. */
async function compile(): Promise<string | undefined> {
  const output = project("dist/vmferry.tmp");
  try {
    // From a directory without any configuration or package that Deno could include.
    // The cache would be a file of a known name in /tmp: anybody could put theirs there first, and every
    // copy leaves one behind.
    const own = ["--quiet", "--no-config", "--no-code-cache"];
    await deno(["compile", ...own, ...flags, "--output", output, bundle], {
      cwd: project("dist"),
      timeoutMs: COMPILE_MS,
    });
    await Deno.rename(output, project("dist/vmferry"));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
