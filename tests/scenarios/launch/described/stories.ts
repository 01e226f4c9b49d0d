import { machineType } from "../../pair/versions.ts";
import { accelerator } from "../../support/qemu_arguments.ts";
import type { ScenarioContext } from "../../support/scenario.ts";

/** A machine in the directory `here` that changes, and is made again in the directory `there`. */
export type Story = (context: ScenarioContext, here: string, there: string) => Promise<void>;

/** Runs all stories, each in directories of its own. */
export async function tellAll(
  context: ScenarioContext,
  stories: Readonly<Record<string, Story>>,
): Promise<void> {
  for (const [name, story] of Object.entries(stories)) {
    context.note(name);
    const [here, there] = [`${context.dir}/${name}-a`, `${context.dir}/${name}-b`];
    await Deno.mkdir(here);
    await Deno.mkdir(there);
    await story(context, here, there);
  }
}

/** Options of every machine here: q35 with room for more. */
export function base(): string[] {
  return [
    ...["-name", "guest=described", "-machine", machineType(), "-accel", accelerator()],
    ...["-m", "128M,slots=4,maxmem=1G", "-smp", "1,maxcpus=3", "-nodefaults", "-display", "none"],
    ...["-qmp", "unix:qmp.sock,server=on,wait=off"],
    ...[1, 2, 3, 4, 5, 6].flatMap((n) => ["-device", `pcie-root-port,id=rp${n},chassis=${n}`]),
    ...["-device", "qemu-xhci,id=xhci", "-device", "virtio-scsi-pci,id=scsi0"],
  ];
}
