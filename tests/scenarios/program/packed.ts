import { pack } from "../../../tools/pack.ts";
import { project } from "../../../tools/run.ts";
import type { Scenario } from "../support/scenario.ts";

/** Number of runs that begin at the same time. */
const AT_ONCE = 6;

/** The packed program on a host that has never run it. */
export const scenario: Scenario = {
  name: "packed",
  about:
    "the packed program unpacks once, for its user alone, completely or not at all, without a network",
  timeoutMs: 120_000,
  async run(context) {
    const file = `${context.dir}/vmferry`;
    const flags = (await Deno.readTextFile(project("tools/permissions.txt")))
      .split("\n").filter((line) => line.startsWith("--"));
    const runtime = Deno.execPath();
    await pack({ runtime, bundle: project("dist/vmferry.js"), flags, output: file });
    const cache = `${context.dir}/cache`;
    const run = (program: string, env: Record<string, string> = {}) =>
      started(program, { XDG_CACHE_HOME: cache, TMPDIR: context.dir, ...env });

    context.note("a truncated file unpacks nothing");
    const half = `${context.dir}/half`;
    const whole = await Deno.readFile(file);
    await Deno.writeFile(half, whole.subarray(0, whole.length / 2), { mode: 0o755 });
    const short = await run(half);
    expect(short.code === 1 && /could not unpack/.test(short.text), short.text);
    expect((await contents(cache)).length === 0, "A file that was cut short left something");

    context.note("several runs at once, without a network");
    const first = await Promise.all(Array.from({ length: AT_ONCE }, () => run(file)));
    for (const { code, text } of first) {
      expect(code === 0 && /^vmferry .*\(packed, Deno /.test(text), text);
    }
    const [directory, ...more] = await contents(cache);
    expect(directory !== undefined && more.length === 0, `The cache holds ${[directory, ...more]}`);
    const { mode } = await Deno.stat(directory!);
    expect((mode! & 0o077) === 0, `${directory} has mode ${mode!.toString(8)}`);

    context.note("once");
    const before = await Deno.stat(`${directory}/deno`);
    const again = await run(file);
    const after = await Deno.stat(`${directory}/deno`);
    expect(again.code === 0, again.text);
    expect(before.ino === after.ino && +before.mtime! === +after.mtime!, "It was unpacked again");

    context.note("a directory that others can write to is not used");
    await Deno.chmod(directory!, 0o777);
    const open = await run(file);
    expect(open.code === 1 && /can be written to by others/.test(open.text), open.text);
    await Deno.chmod(directory!, 0o700);

    context.note("settings for another Deno have no effect");
    const odd = await run(file, { DENO_V8_FLAGS: "--no-such-flag", NODE_OPTIONS: "--bad" });
    expect(odd.code === 0, odd.text);

    context.note("without a home the user's own temporary directory is used");
    const own = `${context.dir}/vmferry-${Deno.uid()}`;
    for (const home of [[], ["HOME="], [`HOME=${NO_HOME}`]]) {
      const homeless = await started(file, { TMPDIR: context.dir }, [
        ...["env", "-u", "HOME", "-u", "XDG_CACHE_HOME", ...home],
      ]);
      expect(homeless.code === 0, `${home}: ${homeless.text}`);
      expect((await contents(own)).length === 1, `${home}: ${own} holds nothing`);
      expect(!await exists(NO_HOME), `${home}: it made ${NO_HOME}`);
    }
    return `${AT_ONCE} at once`;
  },
};

/** The home of users that have none, on Debian. */
const NO_HOME = "/nonexistent";

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

async function started(
  program: string,
  env: Record<string, string>,
  prefix: readonly string[] = [],
): Promise<{ readonly code: number; readonly text: string }> {
  const { code, stdout, stderr } = await new Deno.Command("unshare", {
    args: ["--net", ...prefix, program, "--version"],
    env,
  }).output();
  const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("").trim();
  return { code, text };
}

async function contents(cache: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(`${cache}/vmferry`)) {
    found.push(`${cache}/vmferry/${name}`);
  }
  return found;
}

function expect(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
