import { crossLinux } from "../pair/linux_crossing.ts";
import { LinuxHome } from "../pair/linux_guest.ts";
import type { Qemu } from "../support/qemu.ts";
import { type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";

const MIB = 2 ** 20;
/** Plugged in the guest as it boots, and what it is given at the destination. */
const PLUGGED = 384 * MIB;
const LATER = 448 * MIB;
/** More than the 512 MiB that the machine has from the start leave free: some of it is plugged RAM. */
const FILE_MIB = 520;
const PATIENCE_MS = 300_000;

/** A guest whose RAM has grown since it was started. */
export const scenario: Scenario = {
  name: "virtio_mem",
  about: "a Debian guest with RAM plugged by virtio-mem crosses with all of it, and can get more",
  long: true,
  timeoutMs: 1_200_000,
  async run(context) {
    const home = await LinuxHome.start(context, 0, memory(PLUGGED));
    await home.booted(PATIENCE_MS);
    // What a slow boot has made the kernel complain of is no fault of a migration.
    await home.print("dmesg --clear && modprobe virtio_mem");
    await pluggedIs(home.qemu, PLUGGED);
    await online(home);
    await home.print(`mount -o remount,size=${FILE_MIB + 20}m /run`);
    await home.print(`head -c ${FILE_MIB}M /dev/urandom >/run/file`, PATIENCE_MS);
    const before = await look(home);
    context.note(`the guest has RAM plugged and used: ${before}`);

    // The guest's own size goes along, whatever the destination was started with.
    const next = await LinuxHome.start(context, 1, memory(0));
    const { bytes, totalMs, downtimeMs } = await crossLinux(context, home, next, PATIENCE_MS);
    await pluggedIs(next.qemu, PLUGGED);
    const after = await look(next);
    if (after !== before) throw new Error(`The guest has ${after} now; before: ${before}`);
    await next.qemu.execute("qom-set", {
      path: "vmem0",
      property: "requested-size",
      value: LATER,
    });
    await pluggedIs(next.qemu, LATER);
    const faults = await next.print("dmesg | grep -iE 'BUG:|Oops:|call trace|lockup' || true");
    if (faults !== "") throw new Error(`The guest's kernel complains: ${faults}`);
    await next.qemu.quit();
    return `${PLUGGED / MIB} MiB plugged, then ${LATER / MIB}; ${Math.round(bytes / MIB)} MiB in ` +
      `${(totalMs / 1000).toFixed(1)} s, downtime ${downtimeMs} ms`;
  },
};

function memory(requestedSize: number): string[] {
  return [
    ...["-m", "512M,maxmem=2G", "-object", "memory-backend-ram,id=backend0,size=512M"],
    "-device",
    `virtio-mem-pci,id=vmem0,memdev=backend0,requested-size=${requestedSize}`,
  ];
}

/** Waits until so many bytes are plugged. */
async function pluggedIs(qemu: Qemu, bytes: number): Promise<void> {
  await poll(`${qemu.name}: ${bytes / MIB} MiB to be plugged`, async () => {
    const [device] = await qemu.execute<{ data: { size: number } }[]>("query-memory-devices");
    return device?.data.size === bytes || undefined;
  }, PATIENCE_MS);
}

/** Debian's kernel adds the blocks and leaves it to udev to use them. */
async function online(home: LinuxHome): Promise<void> {
  await home.print(
    "for state in /sys/devices/system/memory/memory*/state; do " +
      "grep -q offline $state && echo online >$state; done; true",
  );
}

/** The guest's RAM and what is in it. */
async function look(home: LinuxHome): Promise<string> {
  const total = await home.print("grep MemTotal /proc/meminfo");
  const hash = await home.print("sha256sum /run/file", PATIENCE_MS);
  return `${total}, ${hash}`;
}
