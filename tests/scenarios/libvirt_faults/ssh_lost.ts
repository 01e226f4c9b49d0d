import { assertExit, assertFails, type Scenario } from "../support/scenario.ts";
import {
  assertLabAsBefore,
  type HostVmferry,
  labState,
  LibvirtLab,
  RingDomain,
  startSshd,
  tracesOf,
  waitCopy,
  Witness,
} from "../libvirt/lab/mod.ts";

/** ssh's connection dies, as ssh itself cannot make it again. */
export const scenario: Scenario = {
  name: "ssh_lost",
  about: "a lost ssh connection while disks or RAM cross leaves a domain at the source, whole",
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const { source, destination } = lab;
    const { url, flags } = await startSshd(lab, context.dir);
    const guest = await RingDomain.start(lab, {
      disks: [{ format: "qcow2", bytes: 16 << 20 }, { format: "raw", bytes: 16 << 20 }],
      guest: { ramPages: 8192, ramStep: 64 },
    });
    const before = await labState(lab);
    const witness = context.use(new Witness(lab, guest.name));
    const start = (name: string) =>
      source.vmferry({ name, args: ["domain", guest.name, url, ...flags, "--json"] });
    const inRam = (domain: HostVmferry) => domain.waitEvent("progress", (e) => e.phase === "ram");
    for (
      const { host, program, wait } of [
        { host: source, program: "ssh", wait: waitCopy },
        { host: destination, program: "sshd", wait: inRam },
      ] as const
    ) {
      context.note(`${program} is killed`);
      await lab.limitRate(12);
      const domain = start(program);
      await wait(domain);
      const { code } = await host.run(["sh", "-c", KILL[program]]);
      if (code !== 0) throw new Error(`There was no ${program} to kill`);
      await assertFails(domain, 1, /^connection-lost: .*ssh connection/);
      await lab.limitRate(null);
      await guest.assertRunsOnlyOn(source);
      await assertLabAsBefore(lab, before);
    }
    context.note("the next try");
    await assertExit(start("next"), 0);
    witness.assertNeverTwice();
    const images = `/${guest.name}-\\d\\.(qcow2|raw)$`;
    const own = new RegExp(`${tracesOf(guest.name).source}|${images}`);
    await assertLabAsBefore(lab, before, own);
    await guest.assertArrived();
  },
};

/** sshd's first process goes on. */
const KILL = {
  ssh: "pkill -KILL -x ssh",
  sshd: 'pkill -KILL -P "$(cat /run/sshd.pid)" -x sshd',
};
