import { systemClock, withDeadline } from "../../../src/io/mod.ts";
import { QmpClient } from "../../../src/qmp/mod.ts";
import {
  differenceOutsideRing,
  GUEST_STATE,
  makeImage,
  type Ring,
  verifyRing,
} from "../guest/mod.ts";
import { filesIn } from "../support/host.ts";
import {
  assertExit,
  assertNone,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import { Sshd } from "../support/sshd.ts";
import { vmferryPath } from "../support/vmferry.ts";
import { poll } from "../support/waiting.ts";

const MiB = 1 << 20;
const RING: Ring = { start: 2048, length: 8192, runId: 0x5eed_0021_0000_0001n };

/** One command, and a destination that has nothing but vmferry. */
export const scenario: Scenario = {
  name: "launch",
  about: "migrate --launch builds the destination and starts its QEMU, and no write is lost",
  timeoutMs: 180_000,
  long: true,
  async run(context) {
    const [here, there] = [`${context.dir}/here`, `${context.dir}/there`];
    for (const name of ["here", "ssh", "var", "run-here", "run-there"]) {
      await Deno.mkdir(`${context.dir}/${name}`);
    }
    const sshd = context.use(await Sshd.start(`${context.dir}/ssh`));
    const from = { path: `${here}/a b,c.qcow2`, format: "qcow2" as const };
    const guest = { ring: RING, disks: 1, waitUs: 1000, ramPages: 2048, ramStep: 2 };
    await makeImage(from, { bytes: 64 * MiB, seed: 1, randomBytes: 8 * MiB, guest });
    const source = await context.qemu({
      dir: here,
      name: "vm",
      disks: [{ id: "vd0", image: from }],
    });
    await source.waitCounter(50);
    // The scenario's own connection to the destination's QEMU.
    const watch = `${context.dir}/watch.sock`;
    using listener = Deno.listen({ transport: "unix", path: watch });
    const arguments_ = [
      ...["--qmp", source.qmpSocket, "--launch"],
      ...["--map", `${here}=${there}`, "--map", `${here}/vm.watch.sock=${watch}`],
      ...sshd.options(),
      ...["--remote-command", isolated(context)],
    ];
    const ends = [sshd.url, "--", "--run-dir", `${context.dir}/run-there`];

    context.note("a dry run changes nothing");
    const plan = context.vmferry({
      name: "dry-run",
      args: ["migrate", "--json", "--dry-run", ...arguments_, ...ends],
    });
    await assertExit(plan, 0);
    const { commands } = await plan.waitEvent("plan");
    if (!JSON.stringify(commands).includes("qemu-img create -q -f qcow2")) {
      throw new Error(`The plan is ${JSON.stringify(commands)}`);
    }
    await assertMissing(there);

    context.note("the guest crosses");
    const begin = performance.now();
    const migrate = context.vmferry({
      name: "migrate",
      args: ["migrate", "--json", "--run-dir", `${context.dir}/run-here`, ...arguments_, ...ends],
    });
    const connection = await withDeadline(systemClock, 60_000, "QEMU there", listener.accept());
    const launched = performance.now() - begin;
    await using destination = await QmpClient.open(connection, { greetingTimeoutMs: 30_000 });
    await assertExit(migrate, 0);
    const counted = async () => await peek(destination, GUEST_STATE.counter);
    const arrived = await counted();
    const last = await poll("the guest to go on there", async () => {
      const counter = await counted();
      return counter >= arrived + 200 ? counter : undefined;
    });
    const status = await source.status();
    if (status !== "postmigrate") throw new Error(`The source is ${status}`);

    await destination.execute("quit", {});
    await withDeadline(systemClock, 10_000, "QEMU there to end", destination.closed);
    await source.quit();
    const to = { path: `${there}/a b,c.qcow2`, format: "qcow2" as const };
    const report = await verifyRing(to, RING, 0);
    assertNone(report.faults);
    if (report.highest < last - 2) throw new Error(`The disk ends at ${report.highest} of ${last}`);
    const difference = await differenceOutsideRing(from, to, RING);
    if (difference) throw new Error(difference);
    for (const name of ["run-here", "run-there"]) {
      assertNone((await filesIn(`${context.dir}/${name}`)).map((file) => `left: ${name}/${file}`));
    }
    return `QEMU there after ${(launched / 1000).toFixed(1)} s`;
  },
};

/** vmferry with a /var of its own, where it keeps what it knows of its guests. */
function isolated({ dir }: ScenarioContext): string {
  const script =
    `mount --bind ${dir}/var /var/lib && mount --bind ${dir}/var /var/log && exec "$@"`;
  return `unshare --mount sh -c '${script}' sh ${vmferryPath("receive")}`;
}

async function peek(qmp: QmpClient, address: number): Promise<number> {
  const text = await qmp.executeUntyped("human-monitor-command", {
    "command-line": `xp /1wx 0x${address.toString(16)}`,
  });
  return parseInt(/: 0x([0-9a-f]{8})/.exec(String(text))?.[1] ?? "", 16);
}

async function assertMissing(path: string): Promise<void> {
  const found = await Deno.lstat(path).then(() => true, () => false);
  if (found) throw new Error(`${path} was created`);
}
