import { assertEquals } from "@std/assert";
import { parseHost } from "../../src/cli/host/host_report.ts";

Deno.test("a report names files, the file systems that they are on, and what is not there", () => {
  const report = [
    "boot\tb00t",
    "net\tnet:[4026531840]",
    "file\t0\t65024\t2146311",
    "file\t2\t45\t18446744073709551615",
    "mounts",
    "36 35 254:0 / / rw - ext4 /dev/vda rw",
    "37 36 0:45 / /mnt rw,relatime shared:9 - nfs4 nas:/vm rw,vers=4.2",
  ].join("\n");
  const { bootId, network, files } = parseHost(report, 3);
  assertEquals([bootId, network], ["b00t", "net:[4026531840]"]);
  assertEquals(files, [
    {
      ...{ device: "254:0", inode: "2146311", block: undefined },
      mount: { type: "ext4", source: "/dev/vda" },
    },
    undefined,
    {
      ...{ device: "0:45", inode: "18446744073709551615", block: undefined },
      mount: { type: "nfs4", source: "nas:/vm" },
    },
  ]);
});

Deno.test("a block device is reported with all devices below it", () => {
  const report = [
    "file\t0\t6\t77",
    "block\t0\t253:3",
    "dm\tmpath-3600140",
    "block\t1\t8:16",
    "wwid\tnaa.600140 ",
    "block\t1\t8:17",
    "part",
    "block\t2\t8:16",
    "file\t1\t6\t78",
    "block\t0\t7:0",
    "loop\t0\t0",
    "loopfile\t1\t65024\t5",
    "mounts",
  ].join("\n");
  const [multipath, loop] = parseHost(report, 2).files;
  const { number, dmUuid, below } = multipath!.block!;
  assertEquals([number, dmUuid, below.length], ["253:3", "mpath-3600140", 2]);
  assertEquals([below[0]!.wwids, below[1]!.partition], [["naa.600140"], true]);
  assertEquals(below[1]!.below.map((b) => b.number), ["8:16"]);
  assertEquals([loop!.block!.loop!.whole, loop!.block!.loop!.file!.inode], [true, "5"]);
});

Deno.test("a report that breaks off or makes no sense tells what it can", () => {
  assertEquals(parseHost("", 1), { bootId: "", network: "", files: [undefined] });
  assertEquals(parseHost("block\t0\t8:1\nwwid\tx\nfile\t0\tx\ty\nloop", 1).files.length, 1);
});
