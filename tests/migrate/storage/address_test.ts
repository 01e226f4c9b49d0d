import { assertEquals } from "@std/assert";
import { addressOf } from "../../../src/migrate/storage/address.ts";

const at = (driver: string, filename: string) =>
  addressOf({ name: "n", driver, filename, readOnly: false, children: [] });
const keys = (driver: string, filename: string) => at(driver, filename)?.network.map((n) => n.key);

Deno.test("an NBD export has the same name as a URL and as options", () => {
  const name = ["nbd://nas:10809/vm1"];
  assertEquals(keys("nbd", "nbd://NAS:10809/vm1"), name);
  assertEquals(keys("nbd", "nbd://nas/vm1"), name);
  const options =
    'json:{"driver":"nbd","server":{"type":"inet","host":"nas","port":"10809"},"export":"vm1"}';
  assertEquals(keys("nbd", options), name);
  const flat = 'json:{"driver":"nbd","server.host":"nas","server.port":"10809","export":"vm1"}';
  assertEquals(keys("nbd", flat), name);
  assertEquals(keys("nbd", "nbd://[FD00::1]:10809/vm1"), ["nbd://[fd00::1]:10809/vm1"]);
  assertEquals(keys("nbd", "nbd://nas:10810/vm1"), ["nbd://nas:10810/vm1"]);
});

Deno.test("an NBD export on a UNIX socket is named by the socket's path and the export", () => {
  for (const url of ["nbd+unix:///vm1?socket=/run/x", "nbd+unix://vm1?socket=/run/x"]) {
    const address = at("nbd", url);
    assertEquals([address?.path, address?.network], ["/run/x", []]);
  }
  assertEquals(at("nbd", "nbd+unix:///vm1?socket=/run/x")?.behind, "nbd/vm1");
  assertEquals(at("nbd", "nbd+unix://?socket=/run/x")?.behind, "nbd/");
  const json = 'json:{"driver":"nbd","server":{"type":"unix","path":"/run/x"},"export":"vm1"}';
  assertEquals([at("nbd", json)?.path, at("nbd", json)?.behind], ["/run/x", "nbd/vm1"]);
});

Deno.test("a Ceph image is named by each of its servers, and has no name without one", () => {
  const image = '"pool":"vms","namespace":"a","image":"vm1"';
  const servers = '"server":[{"host":"mon1","port":"6789"},{"host":"mon2","port":"6789"}]';
  assertEquals(keys("rbd", `json:{"driver":"rbd",${image},${servers}}`), [
    "rbd://mon1/vms/a/vm1",
    "rbd://mon2/vms/a/vm1",
  ]);
  // Many clusters use the same names for pools and images.
  assertEquals(keys("rbd", `json:{"driver":"rbd",${image}}`), []);
});

Deno.test("an iSCSI LUN has the same name as a URL and as options, for any user", () => {
  const name = ["iscsi://10.0.0.1:3260/iqn.2001-04.com.example:disks/3"];
  assertEquals(keys("iscsi", "iscsi://10.0.0.1/iqn.2001-04.com.example:disks/3"), name);
  assertEquals(
    keys("iscsi", "iscsi://me%secret@10.0.0.1:3260/iqn.2001-04.com.example:disks/3"),
    name,
  );
  const json = '"portal":"10.0.0.1:3260","target":"iqn.2001-04.com.example:disks","lun":3';
  assertEquals(keys("iscsi", `json:{"driver":"iscsi",${json}}`), name);
});

Deno.test("files of NFS, ssh, Gluster and HTTP servers are named by server and path, without passwords", () => {
  assertEquals(keys("nfs", "nfs://nas/vm/1.raw?uid=0"), ["nfs://nas/vm/1.raw"]);
  assertEquals(keys("ssh", "ssh://me@nas/vm/1.raw?host_key_check=no"), ["ssh://nas:22/vm/1.raw"]);
  assertEquals(keys("gluster", "gluster://nas/volume/1.raw"), ["gluster://nas/volume/1.raw"]);
  assertEquals(at("https", "https://me:secret@nas/1.raw")?.text, "https://nas/1.raw");
});

Deno.test("a file is named by its path, and a node without storage has no address", () => {
  assertEquals(at("file", "/vm/1.raw")?.path, "/vm/1.raw");
  assertEquals(
    at("host_device", 'json:{"driver":"host_device","filename":"/dev/sdb"}')?.path,
    "/dev/sdb",
  );
  assertEquals(at("null-co", "null-co://"), undefined);
  assertEquals(at("nbd", "json:{nonsense"), undefined);
});
