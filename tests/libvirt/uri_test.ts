import { assertEquals, assertThrows } from "@std/assert";
import {
  DEFAULT_URI,
  LibvirtUriError,
  parseLibvirtUri,
  socketCandidates,
  uriWithSocket,
} from "../../src/libvirt/mod.ts";

const ROOT = { uid: 0, runtimeDir: undefined };

Deno.test("the system's daemon is looked for in /run, the modular one first", () => {
  for (const uri of [DEFAULT_URI, "qemu+unix:///system"]) {
    assertEquals(socketCandidates(parseLibvirtUri(uri), ROOT), [
      "/run/libvirt/virtqemud-sock",
      "/run/libvirt/libvirt-sock",
      "/var/run/libvirt/virtqemud-sock",
      "/var/run/libvirt/libvirt-sock",
    ]);
  }
});

Deno.test("a session's daemon is looked for in the user's runtime directory", () => {
  const uri = parseLibvirtUri("qemu:///session");
  const sockets = (directory: string) =>
    ["virtqemud-sock", "libvirt-sock"].map((name) => `${directory}/libvirt/${name}`);
  assertEquals(socketCandidates(uri, { uid: 7, runtimeDir: "/x" }), sockets("/x"));
  assertEquals(socketCandidates(uri, { uid: 7, runtimeDir: undefined }), sockets("/run/user/7"));
});

Deno.test("the socket of a URI is the only candidate", () => {
  const uri = parseLibvirtUri("qemu:///system?socket=/tmp/a%20b+c&mode=direct");
  assertEquals(uri.socket, "/tmp/a b+c");
  assertEquals(socketCandidates(uri, ROOT), ["/tmp/a b+c"]);
});

Deno.test("the mode of a URI chooses the daemon", () => {
  const first = (mode: string) =>
    socketCandidates(parseLibvirtUri(`qemu:///system?mode=${mode}`), ROOT)[0];
  assertEquals(first("legacy"), "/run/libvirt/libvirt-sock");
  assertEquals(first("direct"), "/run/libvirt/virtqemud-sock");
  assertEquals(first("auto"), "/run/libvirt/virtqemud-sock");
});

Deno.test("a socket replaces that of the URI and the mode; other parameters stay", () => {
  const uri = (text: string) => uriWithSocket(parseLibvirtUri(text), "/run/x y&z?.sock");
  const socket = "socket=/run/x%20y%26z%3F.sock";
  assertEquals(uri("qemu:///system"), `qemu+unix:///system?${socket}`);
  assertEquals(
    uri("qemu+unix:///session?socket=/old&mode=direct&name=qemu:///session"),
    `qemu+unix:///session?${socket}&name=qemu:///session`,
  );
  assertEquals(parseLibvirtUri(uri("qemu:///system")).socket, "/run/x y&z?.sock");
});

Deno.test("a URI of another host, driver or path is refused with the reason", () => {
  const cases: readonly [string, string][] = [
    ["qemu+ssh://root@host2/system", "names the host root@host2"],
    ["qemu://host2/system", "names the host host2"],
    ["qemu+tls:///system", "has the transport tls"],
    ["xen:///system", "has the driver xen"],
    ["qemu:///embed?root=/x", 'has the path "/embed"'],
    ["qemu://", 'has the path ""'],
    ["qemu:///system?socket=relative", 'has the socket "relative"'],
    ["", "is malformed"],
    ["system", "is malformed"],
  ];
  for (const [uri, reason] of cases) {
    assertThrows(() => parseLibvirtUri(uri), LibvirtUriError, reason);
  }
});
