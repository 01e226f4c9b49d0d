import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const OWNER = "nobody";

/** QEMUs without root privileges, as libvirt or a careful script runs them. */
export const scenario: Scenario = {
  name: "socket_owner",
  about: "--socket-owner gives a QEMU of another user access to its sockets, and to nothing else",
  timeoutMs: 180_000,
  slow: true,
  async run(context) {
    // Others may make files in it, as the scenario itself has QEMU do.
    await Deno.chmod(context.dir, 0o1777);
    const runas = ["-runas", OWNER];
    const pair = await Pair.start(context, { sourceExtra: runas, destinationExtra: runas });
    for (const { pid } of [pair.source, pair.destination]) {
      const uid = /^Uid:\s+(\d+)/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))?.[1];
      if (uid === "0") throw new Error(`QEMU ${pid} runs as root`);
    }

    context.note("without it, QEMU can't make its socket");
    const refusing = pair.receive();
    const failing = pair.migrate(await refusing.address());
    if (await failing.exit() === 0) throw new Error("It went without --socket-owner");
    await refusing.exit();
    const text = JSON.stringify(failing.events.entries.at(-1));
    if (!/Permission denied/.test(text)) throw new Error(`It said ${text}`);
    await pair.assertStillAtSource();

    const receive = pair.receive(["--socket-owner", OWNER]);
    const address = await receive.address();
    const migrate = pair.migrate(address, ["--socket-owner", OWNER, "--bandwidth", "4M"]);
    await migrate.waitEvent("phase", (e) => e.phase === "mirror");
    await migrate.waitEvent("progress");
    // vmferry makes the source's sockets; otherwise QEMU's user could replace them.
    await assertModes(pair.runDir("source"), [0o711, false]);
    await assertModes(pair.runDir("dest"), [0o700, true]);
    await pair.set("bandwidth=none");
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    await pair.assertArrived();
  },
};

/** What is QEMU's is its user's alone, what is ours is ours alone, and nobody may look about. */
async function assertModes(base: string, sockets: [mode: number, given: boolean]): Promise<void> {
  const [run] = [...Deno.readDirSync(base)];
  const expected: [string, number, boolean][] = [
    [`${base}/${run!.name}`, 0o711, false],
    [`${base}/${run!.name}/qemu`, ...sockets],
    [`${base}/${run!.name}/journal`, 0o600, false],
    [`${base}/${run!.name}/control.sock`, 0o600, false],
  ];
  for (const [path, mode, given] of expected) {
    const info = await Deno.stat(path);
    if ((info.mode! & 0o777) !== mode || (info.uid !== 0) !== given) {
      throw new Error(`${path} has mode ${(info.mode! & 0o777).toString(8)} and user ${info.uid}`);
    }
  }
}
