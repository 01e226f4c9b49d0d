import { assertEquals } from "@std/assert";
import { parseCommand, pathsOutside } from "../../../src/launch/command/mod.ts";

function outside(...argv: string[]): string[] {
  return pathsOutside(parseCommand(["qemu", ...argv]), "/vm/a", ["/vm", "/srv/iso/"])
    .map(({ path, use }) => `${path}${use === null ? " unknown" : ""}`);
}

Deno.test("a path in an allowed directory is not outside", () => {
  assertEquals(outside("-hda", "/vm/d.img", "-cdrom", "/srv/iso//b.iso", "-kernel", "k"), []);
  assertEquals(outside("-fsdev", "local,path=/vm,id=f"), []);
});

Deno.test("a path that leaves its directory by dots is outside", () => {
  assertEquals(outside("-hda", "/vm/../etc/shadow"), ["/vm/../etc/shadow"]);
  assertEquals(outside("-hda", "../../etc/shadow"), ["../../etc/shadow"]);
  assertEquals(outside("-hda", "/vm2/d.img", "-fsdev", "local,path=/"), ["/vm2/d.img", "/"]);
});

Deno.test("every path is looked at: outputs, JSON, -set and unknown keys", () => {
  assertEquals(outside("-D", "/etc/cron.d/x"), ["/etc/cron.d/x"]);
  assertEquals(outside("-serial", "file:/root/x"), ["/root/x"]);
  assertEquals(outside("-drive", 'file=json:{"driver":"file",,"filename":"/x"}'), ["/x"]);
  assertEquals(
    outside("-device", "loader,file=/vm/a,id=l", "-set", "device.l.file=/x"),
    ["/x"],
  );
  assertEquals(outside("-device", "new,id=n,store=/x"), ["/x unknown"]);
  assertEquals(outside("-global", "new.store=/x"), ["/x unknown"]);
});

Deno.test("harmless devices, firmware by its bare name and texts are not outside", () => {
  assertEquals(outside("-object", "rng-random,id=r,filename=/dev/urandom", "-bios", "b.bin"), []);
  assertEquals(outside("-smbios", "type=1,serial=/a", "-fw_cfg", "opt/x,string=/b"), []);
  assertEquals(outside("-chardev", "serial,id=c,path=/dev/ttyS0"), ["/dev/ttyS0"]);
});
