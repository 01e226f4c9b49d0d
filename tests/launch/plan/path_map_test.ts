import { assertEquals } from "@std/assert";
import { fromRoot, mapPath, parsePathMap } from "../../../src/launch/plan/path_map.ts";

Deno.test("a map ends its old path at the first =/", () => {
  assertEquals(parsePathMap("/a=b=/c=/d"), { from: "/a=b", to: "/c=/d" });
  assertEquals(parsePathMap("/a/=/b//"), { from: "/a", to: "/b" });
  assertEquals(parsePathMap("a=/b"), undefined);
  assertEquals(parsePathMap("/a=b"), undefined);
});

Deno.test("the longest old path counts, by whole names", () => {
  const maps = [{ from: "/vm", to: "/srv" }, { from: "/vm/a b", to: "/c" }];
  assertEquals(mapPath("/vm/a b/x.img", maps), "/c/x.img");
  assertEquals(mapPath("/vm/a", maps), "/srv/a");
  assertEquals(mapPath("/vm", maps), "/srv");
  assertEquals(mapPath("/vm2/a", maps), "/vm2/a");
});

Deno.test("the root can be mapped to a directory and back", () => {
  assertEquals(mapPath("/a", [{ from: "/", to: "/chroot" }]), "/chroot/a");
  assertEquals(mapPath("/chroot/a", [{ from: "/chroot", to: "/" }]), "/a");
});

Deno.test("a relative path begins at the working directory, and keeps its ..", () => {
  assertEquals(fromRoot("./a//b/../c", "/x/"), "/x/a/b/../c");
  assertEquals(fromRoot("/a/./b", "/x"), "/a/b");
});
