import { makeEmptyImage } from "../guest/mod.ts";
import {
  assertExit,
  assertRefused,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";

/** QEMU 11.1 and its guest end when it migrates with a separate namespace. */
export const scenario: Scenario = {
  name: "nvme",
  about:
    "a separate NVMe namespace is refused for every QEMU, a controller's drive only before 11.1",
  timeoutMs: 120_000,
  async run(context) {
    const name = await check(context, "namespace", [
      ...["-device", "nvme,serial=a,id=nv0", "-device", "nvme-ns,drive=node,bus=nv0,id=ns0"],
    ], /disk ns0 is a separate NVMe namespace|non-migratable device/);
    const own = ["-device", "nvme,serial=a,drive=node,id=nv0"];
    return `${name}; ${await check(context, "controller", own, /crosses only from QEMU 11\.1 to/)}`;
  },
};

async function check(
  context: ScenarioContext,
  name: string,
  devices: readonly string[],
  reason: RegExp,
): Promise<string> {
  const path = `${context.dir}/${name}.raw`;
  await makeEmptyImage({ path, format: "raw" }, 8 << 20);
  const node = { driver: "raw", "node-name": "node", file: { driver: "file", filename: path } };
  const extra = ["-blockdev", JSON.stringify(node), ...devices];
  const qemu = await context.qemu({ name, disks: [], paused: true, extra });
  const args = ["check", "--json", "--qmp", qemu.qmpSocket];
  const ferry = context.vmferry({ name: `check ${name}`, args });
  if (name === "controller" && qemu.atLeast(11, 1)) {
    await assertExit(ferry, 0);
    return `${name} goes`;
  }
  await assertRefused(ferry, reason);
  return `${name} refused`;
}
