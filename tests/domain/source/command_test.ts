import { assertEquals, assertThrows } from "@std/assert";
import { migrateCommand } from "../../../src/domain/source/run/command.ts";
import { chooseSocketDir, isSocketDir } from "../../../src/domain/source/socket_dir.ts";
import { MigrationError } from "../../../src/migrate/mod.ts";

const PATHS = {
  source: "/run/vmferry/run-1/source.sock",
  destination: "/run/vmferry/run-1/migrate.sock",
  qemuDir: "/run/libvirt/qemu/vmferry-01234567",
};
const DOMAIN = {
  domain: { uuid: "12345678-1234-4234-8234-123456789abc" },
  host: { uri: "qemu:///system" },
};

Deno.test("virsh speaks to both libvirts through vmferry, without a keepalive of its own", () => {
  const plan = { ...DOMAIN, copied: ["vda", "vdb"], copyStorage: "all" as const };
  assertEquals(migrateCommand(plan, { pass: ["--persistent"] }, "qemu:///system", PATHS), [
    ...["virsh", "--keepalive-interval", "0"],
    ...["--connect", "qemu+unix:///system?socket=/run/vmferry/run-1/source.sock"],
    ...["migrate", "--live", "--copy-storage-all", "--migrate-disks=vda,vdb"],
    "--disks-uri=unix:///run/libvirt/qemu/vmferry-01234567/nbd.sock",
    "--migrateuri=unix:///run/libvirt/qemu/vmferry-01234567/ram.sock",
    "--persistent",
    "--desturi=qemu+unix:///system?socket=/run/vmferry/run-1/migrate.sock",
    "--domain=12345678-1234-4234-8234-123456789abc",
  ]);
});

Deno.test("a domain without disks to copy is migrated without NBD", () => {
  const plan = { ...DOMAIN, copied: [], copyStorage: null };
  const argv = migrateCommand(plan, { pass: [] }, "qemu:///system", PATHS);
  assertEquals(argv.filter((word) => /storage|disks/.test(word)), []);
});

Deno.test("the sockets lie in the destination's best directory that both hosts have", () => {
  assertEquals(
    chooseSocketDir(["/run/a", "/tmp"], ["/tmp", "/run/a"], "01234567"),
    "/tmp/vmferry-01234567",
  );
  const error = assertThrows(
    () => chooseSocketDir(["/run/a"], ["/tmp"], "01234567"),
    MigrationError,
  );
  assertEquals([error.kind, error.code], ["refused", "no-socket-directory"]);
});

Deno.test("only directories of vmferry are removed", () => {
  assertEquals(isSocketDir("/run/libvirt/qemu/vmferry-01234567"), true);
  for (
    const path of [
      "/run/libvirt/qemu",
      "/tmp/vmferry-0123456",
      "vmferry-01234567",
      "/a/../vmferry-01234567",
    ]
  ) {
    assertEquals(isSocketDir(path), false, path);
  }
});
