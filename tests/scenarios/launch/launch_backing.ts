import type { LabHost } from "../support/lab_host.ts";
import { assertExit, assertFails, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, LaunchTrial, migrate } from "./lab/mod.ts";

const BASE = "/var/lib/vm/base/vm1.qcow2";
const TOP = "/var/lib/vm/vm1-0.qcow2";

/** What `qemu-img info` says of an image. */
interface Info {
  readonly "backing-filename"?: string;
  readonly "cluster-size": number;
  readonly "format-specific": { readonly data: { readonly "extended-l2": boolean } };
}

/** An image with a backing file, as a whole and alone. */
export const scenario: Scenario = {
  name: "launch_backing",
  about: "a chain arrives as one image with its options, with --sync top over the same base",
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { destination, source } = lab;
    const start = () =>
      LabGuest.start(lab, {
        disks: [{
          format: "qcow2",
          backing: BASE,
          options: "cluster_size=131072,extended_l2=on,lazy_refcounts=on",
        }],
      });
    let guest = await start();

    context.note("flat");
    await assertExit(migrate(lab, [], "flat"), 0);
    await guest.assertArrived();
    const flat = await infoOf(destination);
    if (flat["backing-filename"] !== undefined) throw new Error(`Got ${JSON.stringify(flat)}`);
    assertOptions(flat);

    context.note("--sync top over another base");
    await destination.must("rm", TOP);
    await source.must("rm", TOP, BASE);
    guest = await start();
    await destination.must("mkdir", "-p", BASE.slice(0, BASE.lastIndexOf("/")));
    await Deno.copyFile(source.file(BASE), destination.file(BASE));
    await destination.must("truncate", "-s", "+1", BASE);
    const trial = await LaunchTrial.begin(lab, guest);
    const other = migrate(lab, ["--sync", "top"], "other base");
    await assertFails(other, 3, new RegExp(BASE));
    await trial.assertUndone();

    context.note("--sync top");
    await Deno.copyFile(source.file(BASE), destination.file(BASE));
    await assertExit(migrate(lab, ["--sync", "top"], "top"), 0);
    await guest.assertArrived();
    const top = await infoOf(destination);
    if (top["backing-filename"] !== BASE) throw new Error(`Got ${JSON.stringify(top)}`);
    assertOptions(top);
  },
};

async function infoOf(host: LabHost): Promise<Info> {
  return JSON.parse(await host.must("qemu-img", "info", "--output=json", TOP)) as Info;
}

function assertOptions(info: Info): void {
  const isSame = info["cluster-size"] === 131072 && info["format-specific"].data["extended-l2"];
  if (!isSame) throw new Error(`The image has other options: ${JSON.stringify(info)}`);
}
