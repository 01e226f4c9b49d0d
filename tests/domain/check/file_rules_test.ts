import { assertEquals, assertMatch } from "@std/assert";
import { judgeSharing } from "../../../src/domain/check/file_rules.ts";

const LOCAL = {
  ...{ name: "vdc", path: "/srv/c.raw", fileSystem: "xfs", daemon: "9.0.0", unsafe: false },
};

function problemsOf(change: Partial<Parameters<typeof judgeSharing>[0]>): readonly string[] {
  return judgeSharing({ ...LOCAL, ...change }).problems.map(({ message }) => message);
}

Deno.test("a disk that stays on a local file system is refused with the option that allows it", () => {
  const [problem] = problemsOf({});
  assertMatch(problem!, /vdc.*\/srv\/c\.raw.*xfs.*-- --unsafe/);
  for (const fileSystem of ["ext2/ext3", "btrfs", "overlayfs", "tmpfs"]) {
    assertEquals(problemsOf({ fileSystem }).length, 1);
  }
});

Deno.test("a disk is left to libvirt where it allows it, or may", () => {
  assertEquals(problemsOf({ unsafe: true }), []);
  for (const fileSystem of ["nfs", "ceph", "gfs/gfs2", "fuseblk", "UNKNOWN (0x1)", null]) {
    assertEquals(problemsOf({ fileSystem }), []);
  }
  // Its qemu.conf may name the directory as a shared one.
  assertEquals(problemsOf({ daemon: "11.3.0" }), []);
  assertEquals(problemsOf({ daemon: null }), []);
});
