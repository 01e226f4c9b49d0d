import { assertExit, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, migrate } from "./lab/mod.ts";

const CODE = "/var/lib/vm/firmware/OVMF_CODE.fd";
const NVRAM = "/var/lib/vm/vm1_VARS.fd";

/** UEFI with its variables in a file of the guest's. */
export const scenario: Scenario = {
  name: "launch_firmware",
  about: "OVMF and its NVRAM arrive with the guest: the firmware as it is, the NVRAM as a disk",
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    await source.must("mkdir", "-p", "/var/lib/vm/firmware");
    await source.must("cp", "/usr/share/OVMF/OVMF_CODE.fd", CODE);
    await source.must("cp", "/usr/share/OVMF/OVMF_VARS.fd", NVRAM);
    const guest = await LabGuest.start(lab, {
      idle: true,
      // Nested KVM may fail to run firmware from flash.
      argv: (argv) => argv.map((word) => word === "kvm" ? "tcg" : word),
      disks: [{ format: "qcow2" }],
      extra: [
        ...["-drive", `if=pflash,format=raw,unit=0,readonly=on,file=${CODE}`],
        ...["-drive", `if=pflash,format=raw,unit=1,file=${NVRAM}`],
      ],
    });
    const ferry = migrate(lab);
    await assertExit(ferry, 0);
    await guest.assertArrived();
    for (const path of [CODE, NVRAM]) {
      const [here, there] = await Promise.all(
        [source, destination].map((host) => host.must("sha256sum", path)),
      );
      if (here !== there) throw new Error(`source: ${here}, destination: ${there}`);
    }
  },
};
