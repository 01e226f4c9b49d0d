import { project } from "../../../tools/run.ts";
import { assertNone, type Scenario } from "../support/scenario.ts";

/** Files that an installation has to have, below its prefix. */
const FILES = [
  "bin/vmferry",
  "share/man/man1/vmferry.1",
  "share/man/man1/vmferry-migrate.1",
  "share/bash-completion/completions/vmferry",
  "share/fish/vendor_completions.d/vmferry.fish",
  "lib/systemd/system/vmferry-receive@.service",
  "lib/systemd/system/vmferry-forward@.service",
  "share/doc/vmferry/docs/usage.md",
];

/** What `make install` and `make deb` put on a host. */
export const scenario: Scenario = {
  name: "installed",
  about:
    "make install and the Debian package install a program that runs, and leave nothing behind",
  timeoutMs: 180_000,
  async run(context) {
    await must(Deno.execPath(), ["run", "-A", project("tools/package/write.ts")]);

    context.note("make install, make uninstall");
    const local = `${context.dir}/local`;
    const env = { DESTDIR: local, PREFIX: "/opt/vmferry" };
    await must(project("tools/package/install.sh"), ["install"], env);
    await assertRuns(`${local}/opt/vmferry/bin/vmferry`, context.dir);
    await assertThere(`${local}/opt/vmferry`, FILES);
    const unit = `${local}/opt/vmferry/lib/systemd/system/vmferry-receive@.service`;
    const text = await Deno.readTextFile(unit);
    if (!text.includes("ExecStart=/opt/vmferry/bin/vmferry receive")) throw new Error(text);
    await must(project("tools/package/install.sh"), ["uninstall"], env);
    assertNone((await filesBelow(local)).map((path) => `make uninstall has left ${path}`));

    context.note("the Debian package");
    const arch = await must("dpkg", ["--print-architecture"]);
    await must(project("tools/package/deb.sh"), [arch]);
    const deb = [...Deno.readDirSync(project("dist"))].map(({ name }) => name)
      .find((name) => name.startsWith("vmferry_") && name.endsWith(`_${arch}.deb`));
    if (!deb) throw new Error(`tools/package/deb.sh ${arch} has made no package`);
    await must("sha256sum", ["--check", "--quiet", "--ignore-missing", "SHA256SUMS"], {}, "dist");
    const root = `${context.dir}/root`;
    await Deno.mkdir(`${root}/var/lib/dpkg/updates`, { recursive: true });
    await Deno.mkdir(`${root}/var/lib/dpkg/info`);
    await Deno.writeTextFile(`${root}/var/lib/dpkg/status`, "");
    const dpkg = [`--root=${root}`, "--force-depends", "--log=/dev/null"];
    await must("dpkg", [...dpkg, "--install", project(`dist/${deb}`)]);
    await assertRuns(`${root}/usr/bin/vmferry`, context.dir);
    const inPackage = FILES.map((path) => /man1|usage/.test(path) ? `${path}.gz` : path);
    await assertThere(`${root}/usr`, [...inPackage, "share/zsh/vendor-completions/_vmferry"]);
    await must("dpkg", [...dpkg, "--purge", "vmferry"]);
    const left = (await filesBelow(root)).filter((path) => !path.includes("/var/lib/dpkg/"));
    assertNone(left.map((path) => `the package has left ${path}`));
  },
};

async function assertRuns(program: string, dir: string): Promise<void> {
  const version = await must(program, ["--version"], { XDG_CACHE_HOME: `${dir}/cache` });
  if (!/^vmferry \d/.test(version)) throw new Error(`${program} --version printed "${version}"`);
}

async function assertThere(root: string, paths: readonly string[]): Promise<void> {
  const there = await filesBelow(root);
  const missing = paths.filter((path) => !there.includes(`${root}/${path}`));
  assertNone(missing.map((path) => `there is no ${root}/${path}`));
}

async function filesBelow(dir: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(dir)) {
    const path = `${dir}/${name}`;
    found.push(...isDirectory ? await filesBelow(path) : [path]);
  }
  return found;
}

/** Runs a program to its end; returns what it printed. */
async function must(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = "",
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { ...env, NO_COLOR: "1", PATH: `${Deno.env.get("PATH")}:/usr/sbin:/sbin` },
    cwd: project(cwd),
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (code !== 0) throw new Error(`${program} ${args[0]}: ${code}: ${text(stderr)}${text(stdout)}`);
  return text(stdout);
}
