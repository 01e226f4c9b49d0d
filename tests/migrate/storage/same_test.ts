import { assertEquals, assertMatch } from "@std/assert";
import { addressOf } from "../../../src/migrate/storage/address.ts";
import type { BlockFacts, FileFacts, HostFacts } from "../../../src/migrate/storage/host_facts.ts";
import { keysOf } from "../../../src/migrate/storage/identify.ts";
import {
  doubleWords,
  findDoubles,
  findSame,
  isSame,
  wordsOf,
} from "../../../src/migrate/storage/same.ts";
import type { StorageNode } from "../../../src/rpc/mod.ts";

const HOST: HostFacts = { bootId: "one", network: "net1", addresses: ["10.0.0.1"], files: [] };
const OTHER: HostFacts = { bootId: "two", network: "net1", addresses: ["10.0.0.2"], files: [] };

function node(driver: string, filename: string, host: HostFacts, file?: FileFacts): StorageNode {
  const address = addressOf({ name: "n", driver, filename, readOnly: false, children: [] })!;
  const paths = address.path === undefined ? [] : [address.path];
  const { keys, beneath } = keysOf(address, paths, { ...host, files: [file] });
  return {
    ...{ node: "n", driver, address: address.text, written: true },
    ...{ keys: [...keys], beneath: [...beneath] },
  };
}

const plain = (inode: string, mount?: FileFacts["mount"]): FileFacts => ({
  ...{ device: "8:1", inode, mount, block: undefined },
});
const block = (number: string, more: Partial<BlockFacts> = {}): BlockFacts => ({
  ...{ number, wwids: [], dmUuid: undefined, loop: undefined, partition: false, below: [] },
  ...more,
});
const device = (facts: BlockFacts): FileFacts => ({
  ...{ device: "0:6", inode: "77", mount: undefined, block: facts },
});
const dev = (host: HostFacts, facts: BlockFacts) =>
  node("host_device", "/dev/x", host, device(facts));

Deno.test("a file is the same under two names on one host, but not by its inode number on two hosts", () => {
  const here = node("file", "/vm/a", HOST, plain("5"));
  assertEquals(isSame(here, node("file", "/vm/b", HOST, plain("5"))), true);
  assertEquals(isSame(here, node("file", "/vm/a", HOST, plain("6"))), false);
  assertEquals(isSame(here, node("file", "/vm/a", OTHER, plain("5"))), false);
  // Neither has a known name.
  assertEquals(isSame(node("file", "/vm/a", HOST), node("file", "/vm/a", OTHER)), false);
});

Deno.test("a file on a network file system is the same on every host", () => {
  const [nfs, ext4] = [{ type: "nfs4", source: "nas:/vm" }, { type: "ext4", source: "/dev/sda1" }];
  const file = (host: HostFacts, mount: typeof nfs) =>
    node("file", "/vm/a", host, plain("5", mount));
  assertEquals(isSame(file(HOST, nfs), file(OTHER, { ...nfs, type: "nfs" })), true);
  assertEquals(isSame(file(HOST, nfs), file(OTHER, { ...nfs, source: "nas:/other" })), false);
  assertEquals(isSame(file(HOST, ext4), file(OTHER, ext4)), false);
});

Deno.test("a server's address names the same storage on every host, an address of the host itself only there", () => {
  const nbd = (server: string, host: HostFacts) => node("nbd", `nbd://${server}:10809/x`, host);
  assertEquals(isSame(nbd("nas", HOST), nbd("nas", OTHER)), true);
  assertEquals(isSame(nbd("127.0.0.1", HOST), nbd("localhost", HOST)), true);
  assertEquals(isSame(nbd("127.0.0.1", HOST), nbd("127.0.0.1", OTHER)), false);
  const elsewhere = { ...HOST, network: "net2" };
  assertEquals(isSame(nbd("localhost", HOST), nbd("localhost", elsewhere)), false);
  // The source's host is the server, and its guest uses the same address as the destination.
  assertEquals(isSame(nbd("10.0.0.1", HOST), nbd("10.0.0.1", OTHER)), true);
  // The address of a bridge that every host has.
  const bridges = [HOST, OTHER].map((host) => ({ ...host, addresses: ["192.168.122.1"] }));
  assertEquals(isSame(nbd("192.168.122.1", bridges[0]!), nbd("192.168.122.1", bridges[1]!)), false);
});

Deno.test("exports are the same by UNIX socket and export name, whatever the socket's path", () => {
  const nbd = (path: string, name: string, host = HOST) =>
    node("nbd", `nbd+unix:///${name}?socket=${path}`, host, plain("9"));
  assertEquals(isSame(nbd("/run/a", "x"), nbd("/run/b", "x")), true);
  assertEquals(isSame(nbd("/run/a", "x"), nbd("/run/a", "y")), false);
  assertEquals(isSame(nbd("/run/a", "x"), nbd("/run/a", "x", OTHER)), false);
});

Deno.test("a LUN is recognized on both hosts by its world-wide name, not by a disk's serial number", () => {
  const lun = (wwids: string[]) => ({ wwids });
  const naa = lun(["naa.600140512345678"]);
  assertEquals(isSame(dev(HOST, block("8:16", naa)), dev(OTHER, block("8:32", naa))), true);
  const made = lun(["t10.ATA     QEMU HARDDISK                           QM00001"]);
  assertEquals(isSame(dev(HOST, block("8:16", made)), dev(OTHER, block("8:16", made))), false);
  const emulated = lun(["nvme.1b36-6161-51454d55-00000001"]);
  assertEquals(
    isSame(dev(HOST, block("259:0", emulated)), dev(OTHER, block("259:0", emulated))),
    false,
  );
  assertEquals(isSame(dev(HOST, block("8:16")), dev(HOST, block("8:16"))), true);
});

Deno.test("a multipath device is the same storage as each of its paths", () => {
  const path = block("8:16", { wwids: ["naa.600140512345678"] });
  const multipath = block("253:3", { dmUuid: "mpath-3600140512345678", below: [path] });
  assertEquals(isSame(dev(HOST, multipath), dev(OTHER, path)), true);
});

Deno.test("a volume and the disk below it are the same storage, two volumes of one disk are not", () => {
  const disk = block("8:16", { wwids: ["naa.600140512345678"] });
  const volume = (number: string, dmUuid: string) => block(number, { dmUuid, below: [disk] });
  const [a, b] = [volume("253:0", "LVM-aa"), volume("253:1", "LVM-bb")];
  assertEquals(isSame(dev(HOST, a), dev(HOST, disk)), true);
  assertEquals(isSame(dev(HOST, disk), dev(OTHER, a)), true);
  assertEquals(isSame(dev(HOST, a), dev(HOST, b)), false);
  assertEquals(isSame(dev(HOST, a), dev(OTHER, volume("253:7", "LVM-aa"))), true);
  const part = (number: string) => block(number, { partition: true, below: [disk] });
  assertEquals(isSame(dev(HOST, part("8:17")), dev(HOST, part("8:18"))), false);
  assertEquals(isSame(dev(HOST, part("8:17")), dev(HOST, disk)), true);
});

Deno.test("a loop device is the same storage as its file", () => {
  const loop = (whole: boolean) => block("7:0", { loop: { file: plain("5"), whole } });
  const file = node("file", "/vm/a", HOST, plain("5"));
  assertEquals(isSame(dev(HOST, loop(true)), file), true);
  assertEquals(isSame(dev(HOST, loop(false)), file), true);
  const other = { ...loop(true), number: "7:1" };
  assertEquals(isSame(dev(HOST, loop(true)), dev(HOST, other)), true);
});

Deno.test("every node of the source is compared, of the destination only nodes that are written to", () => {
  const base = node("file", "/vm/base", HOST, plain("5"));
  const overlay = node("file", "/vm/overlay", HOST, plain("6"));
  const source = [{ name: "vd0", nodes: [overlay, { ...base, written: false }] }];
  const onto = (nodes: StorageNode[]) => findSame(source, [{ name: "vd1", nodes }]);
  const [same] = onto([base]);
  assertEquals([same?.source, same?.destination], ["vd0", "vd1"]);
  assertMatch(wordsOf(same!), /disk vd1 .*\/vm\/base.*source's disk vd0/);
  const own = node("file", "/vm/own", HOST, plain("7"));
  assertEquals(onto([own, { ...base, written: false }]), []);
});

Deno.test("two disks of the destination on one storage are found, also by a backing file", () => {
  const at = (name: string, inode: string) => ({
    ...node("file", `/vm/${name}`, HOST, plain(inode)),
    node: name,
  });
  const disk = (name: string, ...nodes: StorageNode[]) => ({ name, nodes });
  const [double, ...more] = findDoubles([
    disk("vd0", at("a", "5")),
    disk("vd1", at("b", "6")),
    disk("vd2", at("c", "5")),
  ]);
  assertEquals([double?.disks, more], [["vd0", "vd2"], []]);
  assertMatch(doubleWords(double!), /disks vd0 \(node a, \/vm\/a\) and vd2 \(node c, \/vm\/c\)/);
  const base = { ...at("base", "5"), written: false };
  const over = disk("vd1", at("over", "6"), base);
  assertEquals(findDoubles([disk("vd0", at("a", "5")), over]).length, 1);
  // Nothing writes to a backing file that two disks share.
  assertEquals(findDoubles([over, disk("vd2", at("d", "7"), { ...base, node: "e" })]), []);
  // One node below two parts of a raw image.
  assertEquals(findDoubles([disk("vd0", at("a", "5")), disk("vd1", at("a", "5"))]), []);
});
