import { assertEquals, assertMatch } from "@std/assert";
import {
  type BackendOption,
  chardevOption,
  netdevOption,
  objectOption,
  tapQueues,
  userNetdevs,
} from "../../../src/launch/describe/backend_options.ts";

const NETWORK = [
  "net0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56",
  " \\ n0: index=0,type=user,net=10.0.2.0,restrict=off",
  "net1: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:57",
  " \\ t1: index=0,type=tap,ifname=tap1,script=/etc/qemu-ifup,downscript=no",
  "net1: index=1,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:57",
  " \\ t1: index=1,type=tap,ifname=tap1,script=/etc/qemu-ifup,downscript=no",
  "net2: index=0,type=nic,model=e1000e,macaddr=52:54:00:12:34:58",
  " \\ b1: index=0,type=tap,helper=/usr/lib/qemu/qemu-bridge-helper,br=br0",
  " \\ f1: index=0,type=tap,fd=12",
  "n9: index=0,type=user,net=192.168.7.0,restrict=on",
  "",
].join("\r\n");
const USERNET = `Hub -1 (n0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[HOST_FORWARD]  20       127.0.0.1  5555       10.0.2.15    22     0     0
  TCP[ESTABLISHED]   21       10.0.2.15  1234       10.0.2.2     80     0     0
Hub -1 (n9):
  UDP[HOST_FORWARD]  22               *  5353    192.168.7.15    53     0     0
`;

const netdev = (id: string, vhost: boolean | null = false) =>
  netdevOption(id, { network: NETWORK, usernet: USERNET }, vhost);
const problemOf = (made: BackendOption) => "problem" in made ? made.problem : "";

Deno.test("a user netdev keeps its network and its own forwarded ports", () => {
  assertEquals(netdev("n0"), {
    option: ["netdev", "user,id=n0,hostfwd=tcp:127.0.0.1:5555-10.0.2.15:22"],
  });
  assertEquals(netdev("n9"), {
    option: [
      "netdev",
      "user,id=n9,net=192.168.7.0/24,restrict=on,hostfwd=udp::5353-192.168.7.15:53",
    ],
  });
  assertEquals(userNetdevs(NETWORK), ["n0", "n9"]);
});

Deno.test("a tap keeps its interface, scripts, queues and vhost", () => {
  const tap = "tap,id=t1,ifname=tap1,script=/etc/qemu-ifup,downscript=no,queues=2";
  assertEquals(netdev("t1"), { option: ["netdev", tap] });
  assertEquals(netdev("t1", true), { option: ["netdev", `${tap},vhost=on`] });
  const unknown = netdev("t1", null);
  assertMatch(
    "warning" in unknown ? unknown.warning ?? "" : "",
    /does not report whether it has vhost/,
  );
  assertEquals([...tapQueues(NETWORK)], [["t1", 2], ["b1", 1], ["f1", 1]]);
});

Deno.test("a bridge keeps its name, and its helper where that is not QEMU's", () => {
  assertEquals(netdev("b1"), { option: ["netdev", "bridge,id=b1,br=br0"] });
});

Deno.test("a netdev whose options QEMU does not report is refused by its id", () => {
  assertMatch(problemOf(netdev("f1")), /^netdev f1, of type tap, was added .* remove its NIC/);
  assertMatch(problemOf(netdev("gone")), /^netdev gone was added/);
});

Deno.test("an object has the properties that are not at their defaults", () => {
  const properties = {
    size: 4096,
    share: true,
    policy: "default",
    "host-nodes": [],
    "mem-path": "",
  };
  assertEquals(objectOption({ id: "m1", type: "memory-backend-ram", properties }), {
    option: ["object", '{"qom-type":"memory-backend-ram","id":"m1","size":4096,"share":true}'],
  });
});

Deno.test("an object that vmferry does not know is refused by its id and type", () => {
  const made = objectOption({ id: "c1", type: "cryptodev-vhost-user", properties: {} });
  assertMatch(problemOf(made), /^object c1 \(cryptodev-vhost-user\)/);
});

Deno.test("character devices are made from QEMU's texts, and do not wait for a client", () => {
  const option = (value: string) => ({ option: ["chardev", value] as const });
  assertEquals(chardevOption("c", "null"), option("null,id=c"));
  assertEquals(chardevOption("c", "pty:/dev/pts/3"), option("pty,id=c"));
  assertEquals(
    chardevOption("c", "disconnected:unix:/run/a,b.sock,server=on"),
    option("socket,id=c,path=/run/a,,b.sock,server=on,wait=off"),
  );
  assertMatch(
    problemOf(chardevOption("c", "tcp:1.2.3.4:5")),
    /^character device c \(tcp:1\.2\.3\.4:5\)/,
  );
});
