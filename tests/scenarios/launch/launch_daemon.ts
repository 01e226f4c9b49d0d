import { assertExit, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, migrate } from "./lab/mod.ts";

const PIDFILE = "/run/vm-one/vm1.pid";

/** How a script starts a QEMU. */
export const scenario: Scenario = {
  name: "launch_daemon",
  about: "a QEMU with -daemonize, -pidfile and -name with options is the same at the destination",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    await source.must("mkdir", "/run/vm-one");
    const guest = await LabGuest.start(lab, {
      name: "guest=vm1,process=vm-one,debug-threads=on",
      disks: [{ format: "raw" }],
      extra: ["-daemonize", "-pidfile", PIDFILE, "-D", "/run/vm-one/log"],
    });
    await assertExit(migrate(lab), 0);
    const pid = await destination.must("cat", PIDFILE);
    const process = await destination.must("ps", "-o", "comm=,ppid=", "-p", pid);
    if (!/^vm-one +1$/.test(process)) throw new Error(`Process ${pid} is "${process}"`);
    const { name } = await guest.execute<{ name: string }>(destination, "query-name");
    if (name !== "vm1") throw new Error(`The guest is called ${name}`);
    await guest.assertArrived();
  },
};
