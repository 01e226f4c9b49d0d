import { Pair } from "../pair/pair.ts";
import { filesIn } from "../support/host.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";
import { SlowRelay } from "../support/slow_relay.ts";
import { Sshd } from "../support/sshd.ts";
import { type Vmferry, vmferryPath } from "../support/vmferry.ts";
import { poll } from "../support/waiting.ts";

const MOTD = "Welcome to this host\r\nLast login: never\r\n".repeat(20);

/** A second host without vmferry, which only ssh reaches. */
export const scenario: Scenario = {
  name: "carry",
  about:
    "over ssh a host that has no vmferry of this version gets it, and nothing stays of a failure",
  timeoutMs: 240_000,
  slow: true,
  async run(context) {
    const far = await FarHost.start(context);
    // Before any guest takes part of the processors.
    const figures = await times(context, far);
    const pair = await Pair.start(context);
    const args = (extra: readonly string[] = [], url = far.sshd.url) => [
      ...["--qmp", pair.source.qmpSocket, ...far.sshd.options(), ...extra],
      ...["--remote-qmp", pair.destination.qmpSocket, url],
    ];
    const check = (extra?: readonly string[], url?: string, prefix: readonly string[] = []) =>
      context.vmferry({ name: "check", prefix, args: ["check", "--json", ...args(extra, url)] });

    context.note("another version is there");
    await far.install("vmferry", "#!/bin/sh\necho 'vmferry 0.9.0 (packed, Deno 2.0.0)'\n");
    await far.makeOldCopy();
    await succeeds(check());
    if ((await far.copies()).length !== 1) throw new Error(`There are ${await far.copies()}`);
    await succeeds(check());

    context.note("the copy is damaged");
    const [copy] = await far.copies();
    const file = await Deno.open(copy!, { write: true });
    await file.write(new TextEncoder().encode("#!/bin/false"));
    file.close();
    await succeeds(check());

    context.note("the vmferry here is found through PATH, and is a link");
    await far.forget();
    await Deno.symlink(vmferryPath(), `${context.dir}/vmferry`);
    const found = `PATH=${context.dir}:$PATH; shift; exec vmferry "$@"`;
    await succeeds(check([], undefined, ["sh", "-c", found, "sh"]));

    context.note("the other host has another processor");
    await far.forget();
    await far.install("uname", '#!/bin/sh\n[ "$1" = -m ] && echo riscv64 || /bin/uname "$@"\n');
    await far.unchangedBy(() =>
      refused(check(), /127\.0\.0\.1: the CPU architecture there is riscv64/)
    );
    await far.remove("uname");

    context.note("there is no room");
    const cache = `${far.home}/.cache`;
    await run("mount", "-t", "tmpfs", "-o", "size=20m,mode=700", "tmpfs", cache);
    try {
      await refused(
        check(),
        /127\.0\.0\.1 has .* no room for a copy in .*: \d+ MiB are needed, (19|20) MiB are free/,
      );
    } finally {
      await run("umount", cache);
    }

    context.note("Ctrl-C during the copy");
    using relay = new SlowRelay(far.sshd.port, 2 << 20);
    const slow = `ssh://127.0.0.1:${relay.port}`;
    const alias = ["--ssh-option", `HostKeyAlias=[127.0.0.1]:${far.sshd.port}`];
    await far.unchangedBy(async () => {
      const stopped = check(alias, slow);
      await stopped.waitEvent("carry", (e) => Number(e.sent) > 0, 30_000);
      stopped.signal("SIGINT");
      await assertExit(stopped, 5, 20_000);
    });

    context.note("two sources carry at once");
    const twins = ["a", "b"].map((name) => forward(context, far, name));
    for (const twin of twins) await twin.waitEvent("listening", undefined, 30_000);
    for (const twin of twins) twin.signal("SIGTERM");
    for (const twin of twins) await assertExit(twin, 0);
    if ((await far.copies()).length !== 1) throw new Error(`There are ${await far.copies()}`);

    context.note("a guest crosses with the copy");
    const migrate = pair.migrateWith([
      ...[...far.sshd.options(), "--remote-qmp", pair.destination.qmpSocket],
      ...["--run-dir", pair.runDir("source"), far.sshd.url, "--", "--run-dir"],
      pair.runDir("dest"),
    ]);
    await assertExit(migrate, 0);
    await pair.assertArrived();

    context.note("this version is installed there");
    await far.forget();
    await far.link("vmferry", vmferryPath());
    await far.unchangedBy(async () => {
      const installed = forward(context, far, "c");
      await installed.waitEvent("listening", undefined, 30_000);
      installed.signal("SIGTERM");
      await assertExit(installed, 0);
    }, `${far.home}/.cache/vmferry/carried`);
    return figures;
  },
};

/** A forward to the other host, which needs no QEMU. It is ready with the event `listening`. */
function forward(context: ScenarioContext, { sshd }: FarHost, name: string): Vmferry {
  const nobody = `x=unix://${context.dir}/nobody.sock`;
  return context.vmferry({
    name: `forward-${name}`,
    args: [
      ...["forward", "--json", ...sshd.options()],
      ...["--from", `x=unix://${context.dir}/${name}.sock`, sshd.url, "--", "--to", nobody],
    ],
  });
}

/** How long a connection takes: with an installed vmferry, the first time without, and later. */
async function times(context: ScenarioContext, far: FarHost): Promise<string> {
  const seconds: string[] = [];
  await far.link("vmferry", vmferryPath());
  for (const name of ["unpacking", "installed", "first", "later"]) {
    const start = performance.now();
    const ferry = forward(context, far, name);
    await ferry.waitEvent("listening");
    seconds.push(((performance.now() - start) / 1000).toFixed(2));
    ferry.signal("SIGTERM");
    await assertExit(ferry, 0);
    if (name === "installed") await far.remove("vmferry");
  }
  await far.forget();
  const [, installed, first, later] = seconds;
  return `connected after: installed ${installed} s, first copy ${first} s, later ${later} s`;
}

/** A home directory of its own behind an sshd. */
class FarHost {
  readonly home: string;
  readonly sshd: Sshd;

  static async start(context: ScenarioContext): Promise<FarHost> {
    const home = `${context.dir}/far`;
    await Deno.mkdir(`${home}/bin`, { recursive: true, mode: 0o700 });
    await Deno.mkdir(`${home}/.cache`, { mode: 0o700 });
    const dir = `${context.dir}/sshd`;
    await Deno.mkdir(dir);
    const path = `${home}/bin:/usr/local/bin:/usr/bin:/bin`;
    const sshd = context.use(await Sshd.start(dir, MOTD, { HOME: home, PATH: path }));
    return new FarHost(home, sshd);
  }

  private constructor(home: string, sshd: Sshd) {
    this.home = home;
    this.sshd = sshd;
  }

  async install(name: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.home}/bin/${name}`, text, { mode: 0o755 });
  }

  async remove(name: string): Promise<void> {
    await Deno.remove(`${this.home}/bin/${name}`);
  }

  /** Makes `name` in its PATH a link. */
  async link(name: string, to: string): Promise<void> {
    await this.remove(name).catch(() => {});
    await Deno.symlink(to, `${this.home}/bin/${name}`);
  }

  /** Leaves the copy of another version, as an earlier run does. */
  async makeOldCopy(): Promise<void> {
    const dir = `${this.home}/.cache/vmferry/${await hostDirectory()}/${"0".repeat(64)}`;
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    await Deno.chmod(dir, 0o700);
    await Deno.writeTextFile(`${dir}/vmferry`, "old", { mode: 0o700 });
  }

  /** Removes what earlier runs left. */
  async forget(): Promise<void> {
    await Deno.remove(`${this.home}/.cache/vmferry`, { recursive: true }).catch(() => {});
  }

  /** The paths of the programs that were carried here. */
  async copies(): Promise<string[]> {
    const base = `${this.home}/.cache/vmferry`;
    const files = await filesIn(base);
    return files.filter((path) => path.endsWith("/vmferry")).map((path) => `${base}/${path}`);
  }

  /** Does `work`; throws when it leaves a file in the home directory that was not there before. */
  async unchangedBy(work: () => Promise<void>, under = ""): Promise<void> {
    const files = async () =>
      (await filesIn(this.home)).filter((path) =>
        `${this.home}/${path}`.startsWith(under) && !EMPTY.test(path)
      ).join("\n");
    const before = await files();
    await work();
    const same = async () => (await files()) === before || undefined;
    await poll("nothing to be left", same, 20_000).catch(async () => {
      throw new Error(`Left: ${await files()}; before: ${before}`);
    });
  }
}

/** Directories that stay, empty. */
const EMPTY = /^\.cache\/vmferry(\/carried-[^/]*)?$/;

async function hostDirectory(): Promise<string> {
  const { stdout } = await new Deno.Command("uname", { args: ["-n"] }).output();
  return `carried-${new TextDecoder().decode(stdout).trim()}`;
}

async function succeeds(check: Vmferry): Promise<void> {
  await assertExit(check, 0);
  const { ends } = await check.waitEvent("check");
  if ((ends as unknown[]).length !== 2) throw new Error(`check looked at ${JSON.stringify(ends)}`);
  if (check.stderr !== "") throw new Error(`check said ${check.stderr}`);
}

async function refused(check: Vmferry, reason: RegExp): Promise<void> {
  await assertExit(check, 3);
  const { error } = await check.waitEvent("result");
  const { code, side, message } = error as { code: string; side: string; message: string };
  if (code !== "not-carried" || side !== "destination" || !reason.test(message)) {
    throw new Error(`${check.name} said ${code}, ${side}: ${message}, expected ${reason}`);
  }
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
}
