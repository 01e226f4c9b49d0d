import { assert, assertEquals } from "@std/assert";
import {
  hostVersion,
  isAtLeast,
  networks,
  OLDEST_LIBVIRT,
  parseHostVersion,
  pools,
  Virsh,
  volumePath,
} from "../../src/libvirt/mod.ts";
import { type FakeAnswers, FakeProgram } from "./fake_program.ts";

const virshWith = (answers: FakeAnswers) =>
  new Virsh({ run: new FakeProgram(answers).run, uri: "qemu:///system" });

const VERSION = `Compiled against library: libvirt 9.0.0
Using library: libvirt 9.0.0
Using API: QEMU 9.0.0
Running hypervisor: QEMU 7.2.22
Running against daemon: 9.0.1

`;

Deno.test("the versions are those of the library, the daemon and the hypervisor", async () => {
  assertEquals(await hostVersion(virshWith({ "version --daemon": VERSION })), {
    client: "9.0.0",
    library: "9.0.0",
    daemon: "9.0.1",
    hypervisor: "QEMU 7.2.22",
  });
});

Deno.test("a host without QEMU has no hypervisor's version", () => {
  assertEquals(
    parseHostVersion(
      "Using library: libvirt 9.0.0\nCannot extract running QEMU hypervisor version\n",
    ),
    { client: null, library: "9.0.0", daemon: null, hypervisor: null },
  );
});

Deno.test("versions compare by number", () => {
  for (const version of ["6.8.0", "6.8.1", "6.10.0", "7.0", "10.0.0", "11.3.0-3", "9"]) {
    assert(isAtLeast(version, OLDEST_LIBVIRT), version);
  }
  for (const version of ["6.7.9", "5.10.0", "6", "0.10.2", ""]) {
    assert(!isAtLeast(version, OLDEST_LIBVIRT), version);
  }
});

const POOL = `<pool type='dir'>
  <name>zwei Wörter</name>
  <uuid>5f9c6f0a-8f4c-4e7e-9d0b-0a4d7a1f2b3c</uuid>
  <capacity unit='bytes'>270000000000</capacity>
  <available unit='bytes'>229897035776</available>
  <source>
  </source>
  <target>
    <path>/var/lib/libvirt/images</path>
  </target>
</pool>
`;
const RBD = `<pool type="rbd"><name>ceph</name><source><name>p</name></source></pool>`;

Deno.test("pools have their type, directory, free bytes and state", async () => {
  const virsh = virshWith({
    "pool-list --name": "zwei Wörter\n\n",
    "pool-list --all --name": "zwei Wörter\nceph           \nremoved\n\n",
    "pool-dumpxml --pool zwei Wörter": POOL,
    "pool-dumpxml --pool ceph": RBD,
    "pool-dumpxml --pool removed": { code: 1, stderr: "error: Storage pool not found\n" },
  });
  assertEquals(await pools(virsh), [
    {
      name: "zwei Wörter",
      type: "dir",
      path: "/var/lib/libvirt/images",
      availableBytes: 229897035776,
      active: true,
    },
    { name: "ceph", type: "rbd", path: null, availableBytes: null, active: false },
  ]);
});

Deno.test("networks have their state", async () => {
  const virsh = virshWith({ "net-list --name": "\n", "net-list --all --name": "default\n\n" });
  assertEquals(await networks(virsh), [{ name: "default", active: false }]);
});

Deno.test("a volume's path may end with a space", async () => {
  const virsh = virshWith({ "vol-path --pool p --vol v": "/images/v \n\n" });
  assertEquals(await volumePath(virsh, "p", "v"), "/images/v ");
});
