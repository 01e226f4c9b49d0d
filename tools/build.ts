/**
 * `make build`: one file, `dist/vmferry`. Compiled where a denort can be had (`DENORT_BIN`, Deno's
 * cache, or its download), else packed with the Deno that runs this. `VMFERRY_BUILD=compiled|packed`
 * allows one kind only. With `--arch amd64|arm64` for another machine than this: `dist/vmferry-ARCH`, in
 * which the version of Deno is the one that tools/package/runtime.sh brings.
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

/** Architectures by Debian's name of them, with Deno's. */
const TARGETS: Readonly<Record<string, string>> = {
  amd64: "x86_64-unknown-linux-gnu",
  arm64: "aarch64-unknown-linux-gnu",
};
const [option, arch = "none"] = Deno.args;
const target = option === undefined ? Deno.build.target : TARGETS[arch] ?? "";
if (target === "" || (option !== undefined && option !== "--arch")) {
  throw new Error(`got ${option} ${arch}, expected --arch ${Object.keys(TARGETS).join(" or ")}`);
}
/** This machine can run the file. */
const isOwn = target === Deno.build.target;
const file = project(isOwn ? "dist/vmferry" : `dist/vmferry-${arch}`);

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
requireAscii(await Deno.readTextFile(bundle));
const kind = await build();
const version = isOwn ? (await run(file, ["--version"])).trim() : `${kind} for ${target}`;
if (isOwn && !version.includes(`(${kind},`)) throw new Error(`${file} --version says "${version}"`);
const size = (Deno.statSync(file).size / 1024 / 1024).toFixed(1);
console.log(`${file.slice(project("").length)}: ${kind}, ${size} MiB: ${version}`);

/** One character beyond ASCII and V8 keeps all of the program in two bytes a character: 2 MiB more. */
function requireAscii(text: string): void {
  const line = text.split("\n").find((line) => [...line].some((c) => c > "\x7f"));
  if (line !== undefined) {
    throw new Error(`a comment that the bundle has is not ASCII: ${line.trim()}`);
  }
}

async function build(): Promise<"compiled" | "packed"> {
  // A denort is of one architecture.
  if (wanted !== "packed" && (isOwn || !Deno.env.has("DENORT_BIN"))) {
    const problem = await compile();
    if (problem === undefined) return "compiled";
    if (wanted === "compiled" || (isOwn && Deno.env.has("DENORT_BIN"))) {
      throw new Error(`deno compile failed: ${problem}`);
    }
    console.log("No denort can be had here; packing a Deno with the program");
  }
  const runtime = isOwn ? Deno.execPath() : await run(project("tools/package/runtime.sh"), [arch]);
  await pack({ runtime: runtime.trim(), bundle, flags, output: file });
  return "packed";
}

/** @returns what went wrong, or `undefined`. */
async function compile(): Promise<string | undefined> {
  const output = `${file}.tmp`;
  try {
    // From a directory without any configuration or package that Deno could include.
    // The cache would be a file of a known name in /tmp: anybody could put theirs there first, and every
    // copy leaves one behind.
    const own = ["--quiet", "--no-config", "--no-code-cache"];
    await deno(["compile", ...own, ...flags, "--target", target, "--output", output, bundle], {
      cwd: project("dist"),
      timeoutMs: COMPILE_MS,
    });
    await Deno.rename(output, file);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
