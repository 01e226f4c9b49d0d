import { vmferryPath } from "../support/vmferry.ts";
import type { Vmferry } from "../support/vmferry.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { Sshd } from "../support/sshd.ts";
import { filesIn } from "../support/host.ts";
import { poll } from "../support/waiting.ts";

const MOTD = "Welcome to this host\r\n\r\n  * news: none\r\nLast login: never\r\n".repeat(20);

/** Two hosts that are connected only by ssh. */
export const scenario: Scenario = {
  name: "ssh",
  about: "a migration over ssh ignores the motd, and each failure of ssh has its own message",
  timeoutMs: 240_000,
  slow: true,
  async run(context) {
    const dir = `${context.dir}/ssh`;
    await Deno.mkdir(dir);
    const sshd = context.use(await Sshd.start(dir, MOTD));
    const pair = await Pair.start(context);
    const there = (options: { key?: string; hosts?: string; command?: string; qmp?: string }) => [
      ...sshd.options(options.key, options.hosts),
      ...["--remote-command", options.command ?? vmferryPath()],
      ...["--remote-qmp", options.qmp ?? pair.destination.qmpSocket],
      ...["--run-dir", pair.runDir("source")],
      ...[sshd.url, "--", "--run-dir", pair.runDir("dest")],
    ];

    context.note("the remote command does not exist");
    await fails(pair.migrateWith(there({ command: "no-such-ferry" })), 1, [
      /There is no \\"no-such-ferry\\" on 127\.0\.0\.1: copy vmferry to that host/,
    ]);
    context.note("the host key has changed");
    await fails(pair.migrateWith(there({ hosts: "changed_hosts" })), 1, [
      /host key of 127\.0\.0\.1 is not the one/,
    ]);
    context.note("the host key is unknown");
    await fails(pair.migrateWith(there({ hosts: "nothing" })), 1, [
      /host key .* is not known/,
      /'ssh -p \d+ 127\.0\.0\.1'/,
    ]);
    context.note("the server rejects the key");
    await fails(pair.migrateWith(there({ key: "stranger" })), 1, [/refused every key/]);
    context.note("something else answers");
    await fails(pair.migrateWith(there({ command: "echo hello" })), 1, [
      /\\"echo hello\\" on 127\.0\.0\.1 ended with 0: it said \\"hello receive/,
    ]);
    context.note("the remote vmferry refuses");
    const refused = pair.migrateWith(there({ qmp: `${context.dir}/nowhere.sock` }));
    await fails(refused, 3, [/ended with 3: .*nowhere\.sock: No such file/]);
    if (/No such file/.test(refused.stderr)) {
      throw new Error(`It was said twice: ${refused.stderr}`);
    }
    await pair.assertStillAtSource();

    context.note("ssh ends during the copy");
    const lost = pair.migrateWith(["--bandwidth", "4M", ...there({})]);
    await lost.waitEvent("progress", (e) => moved(e) > 1 << 20);
    await sshd.cut();
    await fails(lost, 1, [/ssh connection to 127\.0\.0\.1 ended/]);
    await poll(
      "the remote vmferry to have undone all",
      async () => (await filesIn(pair.runDir("dest"))).length === 0 || undefined,
      30_000,
    );
    await pair.assertStillAtSource();

    context.note("the next migration succeeds");
    const check = context.vmferry({
      name: "check",
      args: [
        ...["check", "--json", "--qmp", pair.source.qmpSocket],
        ...there({}).filter((_, i, all) => !(i < all.indexOf("--") && isRunDir(all, i))),
      ],
    });
    await assertExit(check, 0);
    if (check.stderr !== "") throw new Error(`check said ${check.stderr}`);
    const { ends } = await check.waitEvent("check");
    const sides = (ends as { side: string; qemuVersion: string }[]).filter((e) => e.qemuVersion)
      .map((e) => e.side);
    if (String(sides) !== "source,destination") throw new Error(`check looked at ${sides}`);
    context.note("by the user's own configuration: an alias, an agent's key, a jump host, a user");
    await using configured = await sshd.configure();
    const migrate = pair.migrateWith([
      ...["--remote-command", `nice -n 1 ${vmferryPath()}`],
      ...["--remote-qmp", pair.destination.qmpSocket, "--run-dir", pair.runDir("source")],
      ...[configured.url, "--", "--run-dir", pair.runDir("dest")],
    ], configured.prefix);
    await assertExit(migrate, 0);
    if (configured.jumps() === 0) throw new Error("Nobody came by way of the jump host");
    const pause = await pair.pauseMs();
    const { downtimeMs } = await migrate.waitEvent("result");
    await poll(
      "the remote vmferry to have ended",
      async () => (await filesIn(pair.runDir("dest"))).length === 0 || undefined,
      30_000,
    );
    await pair.assertArrived();
    return `pause ${pause.toFixed(1)} ms, downtime ${downtimeMs} ms`;
  },
};

async function fails(ferry: Vmferry, code: number, reasons: readonly RegExp[]): Promise<void> {
  await assertExit(ferry, code, 40_000);
  const text = JSON.stringify(ferry.events.entries) + ferry.stderr;
  for (const reason of reasons) {
    if (!reason.test(text)) throw new Error(`${ferry.name} said ${text}, expected ${reason}`);
  }
}

function moved(event: { readonly [member: string]: unknown }): number {
  return (event.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0);
}

/** `check` makes no sockets. */
function isRunDir(args: readonly string[], i: number): boolean {
  return args[i] === "--run-dir" || args[i - 1] === "--run-dir";
}
