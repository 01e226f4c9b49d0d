import { makeEmptyImage } from "../guest/mod.ts";
import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

const BYTES = 16 * MiB;

/** A guest that arrived paused and has not run since: QEMU before 10.0 keeps its media inactive. */
export const scenario: Scenario = {
  name: "moved_on",
  about: "a guest that arrived paused is migrated again, still paused, with its read-only media",
  timeoutMs: 120_000,
  async run(context) {
    const medium = `${context.dir}/medium.raw`;
    await makeEmptyImage({ path: medium, format: "raw" }, MiB);
    const cd = `driver=raw,node-name=cd,read-only=on,file.driver=file,file.filename=${medium}`;
    const spare = cd.replace("node-name=cd", "node-name=spare");
    const extra = [
      ...["-blockdev", cd, "-device", "ide-cd,drive=cd,id=cd0"],
      // Attached to no device, but inactive too.
      ...["-blockdev", spare],
    ];
    const pair = await Pair.start(context, {
      ...{ paused: true, bytes: BYTES, disks: [{ from: "raw", to: "raw" }] },
      ...{ sourceExtra: extra, destinationExtra: extra },
      guest: { ring: { start: 2048, length: 4096, runId: 5n } },
    });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const counter = await pair.destination.counter();

    context.note("and on to a third QEMU");
    const image = { path: `${context.dir}/third.raw`, format: "raw" as const };
    await makeEmptyImage(image, BYTES);
    const third = await context.qemu({
      ...{ name: "third", disks: [{ id: "vd0", image }], incoming: true, extra },
    });
    const at = ["--json", "--run-dir", pair.runDir("dest")];
    const socket = `unix://${context.dir}/link.sock`;
    const arriving = context.vmferry({
      name: "receive-third",
      args: ["receive", ...at, "--qmp", third.qmpSocket, "--listen", socket],
    });
    await arriving.address();
    const moving = context.vmferry({
      name: "migrate-on",
      args: ["migrate", ...at, "--qmp", pair.destination.qmpSocket, socket],
    });
    await assertExit(moving, 0);
    await assertExit(arriving, 0);
    const [here, there] = [await pair.destination.status(), await third.status()];
    if (here !== "postmigrate" || there !== "paused") throw new Error(`Got ${here} and ${there}`);
    await third.execute("cont");
    await third.waitCounter(counter + 100);
  },
};
