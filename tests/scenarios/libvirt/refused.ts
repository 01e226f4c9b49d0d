import { assertExit, assertNone, type Scenario } from "../support/scenario.ts";
import type { JsonEvent } from "../support/vmferry.ts";
import { assertAsBefore, hostState, LibvirtLab, RingDomain } from "./lab/mod.ts";

const MiB = 1024 * 1024;

/** What the source refuses before it connects. */
const SOON = /^an option/;

/** How a migration is tried. */
interface Tried {
  readonly name?: string;
  readonly args?: readonly string[];
}

/** What stands in the way of a domain, and what each answer must name. */
export const scenario: Scenario = {
  name: "refused",
  about: "a domain that cannot move is refused with every reason, and nothing is touched",
  timeoutMs: 180_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    const { source, destination } = lab;
    const guest = await RingDomain.start(lab, { cdrom: "install.iso", persistent: true });
    await Deno.writeTextFile(
      source.file("/run/off.xml"),
      guest.xml.replaceAll("vm1", "off").replace(/<uuid>.*<\/uuid>/, ""),
    );
    await source.virsh("define", "/run/off.xml");
    const secret = `${context.dir}/secret`;
    await Deno.writeTextFile(secret, crypto.randomUUID(), { mode: 0o600 });
    const common = ["--json", "--secret-file", secret, "--insecure"];
    const here = await hostState(source);
    const faults: string[] = [];
    let looks = 0;
    const check = async (what: string, expected: readonly RegExp[], tried: Tried = {}) => {
      looks++;
      const { name = "vm1", args = [] } = tried;
      const there = await hostState(destination);
      for (const command of [["domain"], ["check", "domain"]]) {
        const receive = destination.vmferry({
          name: `${what}: receive`,
          args: ["receive", "--libvirt", ...common, "--listen", `tcp://${destination.address}:0`],
        });
        const address = await receive.address();
        const ferry = source.vmferry({
          name: `${what}: ${command[0]}`,
          args: [...command, name, address, ...common, ...args],
        });
        await assertExit(ferry, 3, 40_000);
        // It waits for the next try, and names what a migration was refused for.
        const isNamed = receive.events.entries.some((e) => e.code === "source-left");
        if (isNamed !== (command[0] === "domain" && !SOON.test(what))) {
          faults.push(
            `${what}, ${command[0]}: the destination ${isNamed ? "warned" : "is silent"}`,
          );
        }
        receive.signal("SIGTERM");
        await assertExit(receive, 5, 20_000);
        const text = JSON.stringify(ferry.events.entries.filter(isVerdict)).replaceAll('\\"', '"');
        for (const reason of expected) {
          if (!reason.test(text)) faults.push(`${what}, ${command[0]}: got ${text}, not ${reason}`);
        }
      }
      await assertAsBefore(source, here);
      await assertAsBefore(destination, there);
    };

    await check("no such domain", [/there is no domain vm2/i], { name: "vm2" });
    await check("a domain that is shut off", [/off.*(not running|shut off)/i], { name: "off" });
    await check("a CD image that is missing there", [/install\.iso is missing/, /"destination"/]);
    const iso = "/var/lib/libvirt/images/install.iso";
    await Deno.copyFile(source.file(iso), destination.file(iso));
    await Deno.chmod(destination.file(iso), 0o644);
    const other = `${context.dir}/other.xml`;
    await Deno.writeTextFile(
      other,
      guest.xml.replace("pc-i440fx-7.2", "pc-i440fx-99.0").replace(
        "</devices>",
        "<interface type='network'><source network='office'/></interface></devices>",
      ),
    );
    await check("a machine type and a network that the destination lacks", [
      /pc-i440fx-99\.0/,
      /network office/,
    ], { args: ["--", "--xml", other] });

    await check("an option that cannot work", [/--p2p/], { args: ["--", "--p2p"] });
    await check("a disk that the domain does not have", [/vdx/, /vda/], {
      args: ["--reuse", "vdx"],
    });
    await check("a machine without libvirt", [/libvirt/i], {
      args: ["--connect", "qemu:///system?socket=/run/nothing"],
    });
    await guest.makeEmptyImages();
    await check("images that are there", [/vm1-0\.qcow2/, /vm1-1\.raw/, /--reuse/]);
    await Deno.truncate(destination.file(guest.path(1)), MiB);
    await check("an image that is too small", [/64/, /1 MiB/], {
      args: ["--reuse", "vda", "--reuse", "vdb"],
    });
    await guest.removeImages(destination);
    const path = guest.path(1);
    await Deno.create(destination.file(path)).then((file) => file.close());
    const original = `${context.dir}/source/lib/images/${path.split("/").at(-1)}`;
    await destination.run(["mount", "--bind", original, path]);
    await check("storage that both hosts share", [/vdb/, /same|share/i], {
      args: ["--reuse", "vdb"],
    });
    await destination.run(["umount", path]);
    await Deno.remove(destination.file(path));
    await destination.stopDaemon();
    const deaf = destination.vmferry({
      name: "receive without libvirt",
      args: ["receive", "--libvirt", ...common, "--listen", `tcp://${destination.address}:0`],
    });
    await assertExit(deaf, 3, 20_000);
    const { error } = await deaf.waitEvent("result");
    if (!/libvirt-unreachable.*libvirt-sock/.test(JSON.stringify(error))) {
      faults.push(`Without libvirt: got ${JSON.stringify(error)}`);
    }
    await destination.startDaemon();
    await guest.assertRunsOnlyOn(source);
    assertNone(faults);
    return `${looks} reasons, each by domain and check domain`;
  },
};

function isVerdict({ event }: JsonEvent): boolean {
  return event === "result" || event === "check";
}
