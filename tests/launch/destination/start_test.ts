import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { ProgramResult } from "../../../src/host/mod.ts";
import { silentLogger } from "../../../src/io/mod.ts";
import type { LaunchHost } from "../../../src/launch/mod.ts";
import type { LaunchPlan } from "../../../src/launch/destination/plan.ts";
import { StartingQemu } from "../../../src/launch/destination/qemu/start.ts";
import { systemdRun, unitFile } from "../../../src/launch/destination/qemu/unit.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const START = { cwd: "/srv/a b", environment: { A: "x $y %z" }, user: null };

/** A QEMU that lives and does not answer. */
class Silent {
  readonly clock = new ManualClock();
  readonly ended = Promise.withResolvers<ProgramResult>();
  killed = 0;
  /** What it has used at a time. */
  ticks: (now: number) => number = () => 5;

  get host(): LaunchHost {
    const said = (stdout: string) => ({ code: 0, stdout, stderr: "" });
    return {
      run: ([program]) =>
        Promise.resolve(
          program === "tail"
            ? said("qemu: warning: first\nqemu: last\n")
            : said(`running 4711 ${this.ticks(this.clock.now())}\n`),
        ),
      start: () => ({ ended: this.ended.promise, kill: () => this.killed++ }),
      connectUnix: () => Promise.reject(new Error("no such file")),
      serversOf: () => Promise.reject(new Error("not asked")),
      siteQemu: () => {
        throw new Error("not asked");
      },
      describeHost: () => Promise.reject(new Error("not asked")),
      createFile: () => Promise.reject(new Error("not asked")),
      user: { uid: 0, name: "root" },
      ...{ stateDir: "/s", logDir: "/l", home: undefined },
      ...{ wallMs: () => 0, clock: this.clock, log: silentLogger },
    };
  }

  /** How long the wait for it takes, ms, and its end. */
  async wait(): Promise<{ ms: number; error: MigrationError }> {
    const record = { qemu: { unit: null, pidFile: "/l/vm.pid" }, log: "/l/vm.log" };
    const plan = { record, argv: ["/q"], start: START } as unknown as LaunchPlan;
    const qemu = await StartingQemu.start(this.host, plan);
    const begin = this.clock.now();
    let over: number | undefined;
    const answers = assertRejects(
      () => qemu.answers("/run/q", new AbortController().signal),
      MigrationError,
    ).finally(() => over = this.clock.now());
    while (over === undefined) await this.clock.advance(1000);
    return { ms: over - begin, error: await answers };
  }
}

Deno.test("a QEMU that does nothing for 30 s and does not answer is given up", async () => {
  const { ms, error } = await new Silent().wait();
  assertEquals(Math.round(ms / 5000), 6);
  assertEquals(error.code, "qemu-not-started");
  assertStringIncludes(error.message, "qemu: last");
});

Deno.test("a QEMU that works may take longer than 30 s, but no more than ten minutes", async () => {
  const qemu = new Silent();
  qemu.ticks = (now) => Math.round(now / 10_000);
  const { ms } = await qemu.wait();
  assertEquals(Math.round(ms / 60_000), 10);
});

Deno.test("a QEMU that stops working has 30 s from then on", async () => {
  const qemu = new Silent();
  qemu.ticks = (now) => Math.min(20, Math.round(now / 5_000));
  const { ms } = await qemu.wait();
  assertEquals(Math.round(ms / 10_000), 13);
});

const UNIT = {
  unit: { name: "vmferry-a.service", scope: "system" },
  description: "QEMU guest a",
  argv: ["/usr/bin/qemu", 'a "b" \\ $HOME ${X} %h', "line\nend"],
} as const;

Deno.test("systemd-run gets each argument as one word, with $ doubled", () => {
  const argv = systemdRun({ ...UNIT, start: START });
  const end = argv.indexOf("--");
  assertEquals(argv.slice(end + 1), [
    "/usr/bin/qemu",
    'a "b" \\ $$HOME $${X} %h',
    "line\nend",
  ]);
  const options = [
    ...["--unit=vmferry-a.service", "--setenv=A=x $y %z", "--property=Restart=no"],
    ...["--property=WorkingDirectory=/srv/a b", "--property=LimitMEMLOCK=infinity"],
  ];
  for (const option of options) {
    assertEquals(argv.slice(0, end).includes(option), true, option);
  }
  assertEquals(argv.includes("--user"), false);
});

Deno.test("a unit of a user asks for no privilege, one of another user names it", () => {
  const user = systemdRun({ ...UNIT, unit: { ...UNIT.unit, scope: "user" }, start: START });
  assertEquals(user[1], "--user");
  assertEquals(user.some((word) => word.includes("MEMLOCK")), false);
  const start = { ...START, user: { user: "q", group: "kvm" } };
  const other = systemdRun({ ...UNIT, start });
  assertEquals(other.filter((word) => /=(User|Group)=/.test(word)), [
    "--property=User=q",
    "--property=Group=kvm",
  ]);
});

Deno.test("a unit file quotes what systemd would expand", () => {
  const text = unitFile({ ...UNIT, start: START, moved: "/var/lib/vmferry/v%1/moved" });
  assertStringIncludes(
    text,
    'ExecStart="/usr/bin/qemu" "a \\"b\\" \\\\ $$HOME $${X} %%h" "line\\x0aend"\n',
  );
  assertStringIncludes(text, 'Environment="A=x $y %%z"\n');
  assertStringIncludes(text, "WorkingDirectory=/srv/a b\n");
  assertStringIncludes(text, "ConditionPathExists=!/var/lib/vmferry/v%%1/moved\n");
});

Deno.test("no argument of a guest adds a line to its unit file", () => {
  const evil = "x\rExecStartPre=/bin/sh\nUser=root\0Group=root";
  const start = { cwd: `/srv/${evil}`, environment: { A: evil }, user: null };
  const lines = unitFile({ ...UNIT, argv: ["/usr/bin/qemu", evil], start, moved: "/moved" }).split(
    /[\r\n\0]/,
  );
  assertEquals(lines.filter((line) => /^(?:ExecStartPre|User|Group)=/.test(line)), []);
});

/** The commands about a unit that ended before systemd-run and journald could say so. */
function unitThatEnded(argv: readonly string[]): ProgramResult {
  const said = (stdout: string, code = 0) => ({ code, stdout, stderr: "" });
  if (argv[0] === "systemd-run") return said("", 1);
  if (argv[0] === "systemctl") {
    return said(
      "ActiveState=failed\nExecMainCode=1\nExecMainStatus=3\nInvocationID=ab\n" +
        "Description=QEMU guest a (vmferry m)\n",
    );
  }
  if (argv.includes("--sync")) return said("", 1);
  return said(argv.some((word) => word.startsWith("--since=")) ? "first\nlast\n" : "");
}

Deno.test("a unit that ends before systemd-run has said so is reported with its last words", async () => {
  const host: LaunchHost = {
    ...new Silent().host,
    run: (argv) => Promise.resolve(unitThatEnded(argv)),
  };
  const qemu = { unit: UNIT.unit, pidFile: null };
  const record = { qemu, name: "a", migration: "m", made: [], log: null };
  const plan = { record, argv: ["/q"], start: START } as unknown as LaunchPlan;
  const error = await assertRejects(() => StartingQemu.start(host, plan), MigrationError);
  assertEquals(
    error.message,
    'QEMU ended with exit code 3 before it answered on its QMP socket. Its last words: "first / last"',
  );
});
