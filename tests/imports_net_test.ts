import { assert, assertEquals } from "@std/assert";

/** The other directories from which each directory of src/ may import. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  io: [],
  qmp: ["io"],
  nbd: ["io"],
  transport: ["io"],
  tunnel: ["io"],
  rpc: ["io", "tunnel"],
  delta: ["io", "nbd", "rpc"],
  migrate: ["io", "qmp", "nbd", "rpc", "tunnel", "transport", "delta"],
  host: ["io"],
  libvirt: ["io", "host"],
  domain: ["io", "host", "libvirt", "rpc", "tunnel", "transport", "delta", "migrate"],
  copy: ["io", "host", "nbd", "rpc", "tunnel", "delta", "migrate"],
  launch: ["io", "host", "qmp", "rpc", "tunnel", "transport", "migrate"],
  cli: [
    ...["io", "host", "qmp", "nbd", "rpc", "tunnel", "transport"],
    ...["migrate", "libvirt", "domain", "launch", "copy"],
  ],
};

/** Files that are one table and may be longer than others. */
const TABLES: readonly string[] = [
  "src/migrate/error_table.ts",
  "src/cli/help/flags.ts",
];

const SRC = new URL("../src/", import.meta.url).href;

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly { readonly code?: Target; readonly type?: Target }[];
}
interface Target {
  readonly specifier: string;
}

async function modules(): Promise<readonly Module[]> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", new URL("../main.ts", import.meta.url).pathname],
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertEquals(code, 0, text(stderr));
  return (JSON.parse(text(stdout)) as { modules: Module[] }).modules;
}

function directoryOf(specifier: string): string | undefined {
  return specifier.startsWith(SRC) ? specifier.slice(SRC.length).split("/")[0] : undefined;
}

Deno.test("imports go one way, and into another directory only by its mod.ts", async () => {
  const faults: string[] = [];
  let seen = 0;
  for (const { specifier, dependencies } of await modules()) {
    const from = directoryOf(specifier);
    if (from === undefined) continue;
    assert(from in MAY_IMPORT, `${specifier}: no rule for the directory ${from}`);
    for (const { code, type } of dependencies ?? []) {
      const target = (code ?? type)?.specifier;
      const to = target && directoryOf(target);
      if (!target || !to || to === from) continue;
      seen++;
      const line = `${specifier.slice(SRC.length)} imports ${target.slice(SRC.length)}`;
      if (!MAY_IMPORT[from]!.includes(to)) faults.push(`${line}: the wrong way`);
      if (target !== `${SRC}${to}/mod.ts`) faults.push(`${line}: not by its mod.ts`);
    }
  }
  assert(seen > 20, `only ${seen} imports were looked at`);
  assertEquals(faults, []);
});

Deno.test("only transports, the command line and main.ts touch the system", async () => {
  const faults: string[] = [];
  let seen = 0;
  for (const { specifier } of await modules()) {
    const directory = directoryOf(specifier);
    if (directory === undefined || directory === "cli") continue;
    if (specifier.startsWith(`${SRC}transport/`)) continue;
    seen++;
    const text = await Deno.readTextFile(new URL(specifier));
    for (const [i, line] of text.split("\n").entries()) {
      const code = line.replace(/\/\/.*|^\s*\*.*|\/\*\*.*/, "");
      if (/\bDeno\.(?!errors\b)/.test(code)) {
        faults.push(`${specifier.slice(SRC.length)}:${i + 1}: ${line.trim()}`);
      }
    }
  }
  assert(seen > 20, `only ${seen} modules were looked at`);
  assertEquals(faults, []);
});

Deno.test("no module imports itself through others", async () => {
  const all = new Map(
    (await modules()).filter(({ specifier }) => specifier.startsWith(SRC))
      .map(({ specifier, dependencies }) => [
        specifier,
        (dependencies ?? []).flatMap(({ code, type }) => (code ?? type)?.specifier ?? []),
      ]),
  );
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (at: string, path: readonly string[]): void => {
    const begin = path.indexOf(at);
    if (begin >= 0) {
      circles.push([...path.slice(begin), at].map((s) => s.slice(SRC.length)).join(" -> "));
      return;
    }
    if (done.has(at)) return;
    for (const next of all.get(at) ?? []) visit(next, [...path, at]);
    done.add(at);
  };
  for (const specifier of all.keys()) visit(specifier, []);
  assert(all.size > 100, `only ${all.size} modules were looked at`);
  assertEquals(circles, []);
});

Deno.test("a directory has at most 20 files, a source file at most 300 lines but tables", async () => {
  const list = new URL("../tools/check/files.sh", import.meta.url).pathname;
  const { stdout } = await new Deno.Command(list).output();
  const paths = new TextDecoder().decode(stdout).trim().split("\n")
    .filter((path) => /^(?:src|tests|tools|docs|findings)\//.test(path));
  assert(paths.length > 300, `only ${paths.length} files were looked at`);
  const files = new Map<string, number>();
  const faults: string[] = [];
  for (const path of paths) {
    const directory = path.slice(0, path.lastIndexOf("/"));
    files.set(directory, (files.get(directory) ?? 0) + 1);
    if (!path.endsWith(".ts") || TABLES.includes(path)) continue;
    const text = await Deno.readTextFile(new URL(`../${path}`, import.meta.url));
    const lines = text.split("\n").length - 1;
    if (lines > 300) faults.push(`${path}: ${lines} lines`);
  }
  for (const [directory, count] of files) {
    if (count > 20) faults.push(`${directory}: ${count} files`);
  }
  assertEquals(faults, []);
});
