import { assertEquals } from "@std/assert";
import { parseCommand } from "../../../src/launch/command/mod.ts";
import { givenBy } from "../../../src/launch/describe/given.ts";
import { limitsOf, passwordsOf } from "../../../src/launch/describe/settings.ts";
import type { Disk, RawBlock } from "../../../src/qmp/mod.ts";

const given = (...words: readonly string[]) => givenBy(parseCommand(["qemu", ...words]));
const count = (...words: readonly string[]) => passwordsOf(given(...words)).length;

Deno.test("a password that a monitor sets is named, for VNC and SPICE", () => {
  assertEquals(passwordsOf(given("-vnc", ":1,password=on")), [
    "the VNC password stays behind: set it at the destination (set_password)",
  ]);
  assertEquals([count("-vnc", ":1"), count("-vnc", ":1,password=off"), count()], [0, 0, 0]);
  assertEquals([count("-spice", "port=1"), count("-spice", "port=1,disable-ticketing=on")], [1, 0]);
  assertEquals(count("-spice", "port=1,password-secret=s"), 0);
});

Deno.test("limits on I/O are named unless the command line has them", () => {
  const image = { "virtual-size": 1 };
  const inserted = { "node-name": "n", ro: false, drv: "raw", file: "f", image, iops: 100 };
  const blocks: RawBlock[] = [{ device: "d", inserted }];
  const disks = [{ name: "vd0", nodeName: "n" }] as unknown as Disk[];
  const drive = (more: string) => given("-drive", `if=none,id=d,file=f${more}`);
  assertEquals(limitsOf({ blocks, disks }, drive("")).length, 1);
  assertEquals(limitsOf({ blocks, disks }, drive(",throttling.iops-total=100")), []);
  const free: RawBlock[] = [{ device: "d", inserted: { ...inserted, iops: 0 } }];
  assertEquals(limitsOf({ blocks: free, disks }, drive("")), []);
});
