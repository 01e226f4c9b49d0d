import type { HostVmferry } from "../support/host_vmferry.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { LaunchLab, signalReceive } from "../launch/lab/mod.ts";
import { assertArrived, assertNothingLeft, copy, DIR, makeImages } from "./lab/mod.ts";

const RECORD = `${DIR}/.a.qcow2.vmferry-copy.json`;

/** Each end is killed once, and the copy continues after it. */
export const scenario: Scenario = {
  name: "copy_kill",
  about: "after a kill of either end a copy leaves no image, and --resume sends only the rest",
  timeoutMs: 240_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    const images = await makeImages(lab, 192);
    await lab.limitRate(12);
    const killed = async (args: readonly string[], end: "source" | "destination") => {
      const ferry = copy(lab, images, ["--compress", "off", ...args]);
      await ferry.waitEvent("phase", (e) => e.phase === "copy");
      const before = await doneBytes(lab);
      await poll("a part to be on stable storage", async () => {
        return await doneBytes(lab) > before || undefined;
      }, 60_000);
      await (end === "source" ? ferry.signal("SIGKILL") : signalReceive(lab, "KILL"));
      await assertExit(ferry, end === "source" ? 137 : 1, 40_000);
      await serversGone(lab);
      await assertNoImage(lab);
      return ferry;
    };
    context.note("the source is killed");
    await killed([], "source");
    context.note("the destination is killed");
    const second = await killed(["--resume"], "destination");
    await lab.limitRate(null);
    context.note("the last part");
    const done = await doneBytes(lab);
    const last = copy(lab, images, ["--resume", "--compress", "off"]);
    await assertExit(last, 0);
    const { bytes, images: copied } = await last.waitEvent("copy") as unknown as {
      bytes: number;
      images: { dataBytes: number }[];
    };
    const all = copied.reduce((sum, { dataBytes }) => sum + dataBytes, 0);
    if (!(bytes < all - 30 * 2 ** 20)) throw new Error(`${bytes} of ${all} bytes were sent again`);
    if (warnings(second).length > 0) throw new Error(`It warned: ${warnings(second)}`);
    await assertArrived(lab);
    for (const host of [source, destination]) await assertNothingLeft(host);
    return `the last part began at ${done >> 20} MiB`;
  },
};

/** What the destination has of the first image, bytes. */
async function doneBytes({ destination }: LaunchLab): Promise<number> {
  const { stdout } = await destination.run(["cat", RECORD]);
  return stdout === "" ? 0 : (JSON.parse(stdout) as { doneBytes: number }).doneBytes;
}

async function serversGone({ source, destination }: LaunchLab): Promise<void> {
  for (const host of [source, destination]) {
    await poll(`${host.name}: qemu-nbd to end`, async () => {
      return (await host.run(["pgrep", "qemu-nbd"])).stdout === "" || undefined;
    }, 40_000);
  }
}

async function assertNoImage({ destination }: LaunchLab): Promise<void> {
  const { stdout } = await destination.run(["find", DIR, "-name", "[ab].*"]);
  if (stdout !== "") throw new Error(`Half an image has its name: ${stdout}`);
}

function warnings(ferry: HostVmferry): string[] {
  return ferry.events.entries.filter(({ event, code }) => event === "warning" && code === "copy")
    .map(({ message }) => String(message));
}
