import { assertEquals } from "@std/assert";
import { parseCommand, pathsOf, withPaths, writeCommand } from "../../../src/launch/command/mod.ts";

/** The paths of one option: kind, with `w` if QEMU writes, `c` if it connects, `s` if it searches. */
function paths(...argv: string[]): string[] {
  return pathsOf(parseCommand(["qemu", ...argv])).map((
    { path, kind, writable, connects, searched },
  ) => `${kind}${writable ? " w" : ""}${connects ? " c" : ""}${searched ? " s" : ""} ${path}`);
}

/** The option with every path moved to /new. */
function moved(...argv: string[]): string {
  return writeCommand(
    withPaths(
      parseCommand(["qemu", ...argv]),
      (path) => `/new${path.startsWith("/") ? "" : "/"}${path}`,
    ),
  ).slice(1).join(" ");
}

const CASES: readonly [argv: string[], paths: string[], moved: string][] = [
  [["-hda", "a,b.img"], ["image w a,b.img"], "-hda /new/a,b.img"],
  [["d.img"], ["image w d.img"], "/new/d.img"],
  [["-cdrom", "/iso/a b.iso"], ["read-only /iso/a b.iso"], "-cdrom /new/iso/a b.iso"],
  [["-cdrom", "https://host/a.iso"], [], "-cdrom https://host/a.iso"],
  [
    ["-drive", "file=/v/a,,b.qcow2,if=virtio,snapshot"],
    ["image w /v/a,b.qcow2"],
    "-drive file=/new/v/a,,b.qcow2,if=virtio,snapshot",
  ],
  [
    ["-drive", "file=file:/v/a.raw,format=raw"],
    ["image w /v/a.raw"],
    "-drive file=file:/new/v/a.raw,format=raw",
  ],
  [["-drive", "file=nbd:localhost:10809"], [], "-drive file=nbd:localhost:10809"],
  [
    ["-drive", "file=nbd:unix:/run/n.sock:exportname=a"],
    ["socket w c /run/n.sock"],
    "-drive file=nbd:unix:/new/run/n.sock:exportname=a",
  ],
  [
    ["-drive", "file=nbd+unix:///a?socket=/run/n.sock"],
    ["socket w c /run/n.sock"],
    "-drive file=nbd+unix:///a?socket=/new/run/n.sock",
  ],
  [
    ["-drive", "file=nbd+unix:///a?%73ocket=/run/n.sock"],
    ["socket w c /run/n.sock"],
    "-drive file=nbd+unix:///a?%73ocket=/new/run/n.sock",
  ],
  [
    ["-drive", 'file=json:{"driver":"qcow2",,"file":{"driver":"file",,"filename":"/v/a"}}'],
    ["image w /v/a"],
    '-drive file=json:{"driver":"qcow2",,"file":{"driver":"file",,"filename":"/new/v/a"}}',
  ],
  [
    ["-drive", "driver=qcow2,file.driver=file,file.filename=/v/a,backing.file.filename=/v/base"],
    ["image w /v/a", "read-only /v/base"],
    "-drive driver=qcow2,file.driver=file,file.filename=/new/v/a,backing.file.filename=/new/v/base",
  ],
  [
    ["-drive", "if=pflash,format=raw,readonly=on,file=/fw/CODE.fd"],
    ["read-only /fw/CODE.fd"],
    "-drive if=pflash,format=raw,readonly=on,file=/new/fw/CODE.fd",
  ],
  [
    ["-drive", "file.driver=https,file.filename=https://h/x"],
    [],
    "-drive file.driver=https,file.filename=https://h/x",
  ],
  [["-drive", "file=fat:rw:/share"], ["directory w /share"], "-drive file=fat:rw:/new/share"],
  [
    ["-drive", "file=blkdebug:/c.cfg:/v/a"],
    ["read-only /c.cfg", "image w /v/a"],
    "-drive file=blkdebug:/new/c.cfg:/new/v/a",
  ],
  [
    ["-blockdev", '{ "driver": "file", "node-name": "n", "filename": "/v/ö\\u00e9" }'],
    ["image w /v/öé"],
    '-blockdev { "driver": "file", "node-name": "n", "filename": "/new/v/öé" }',
  ],
  [
    ["-blockdev", "driver=nbd,node-name=n,server.type=unix,server.path=/run/n.sock"],
    ["socket w c /run/n.sock"],
    "-blockdev driver=nbd,node-name=n,server.type=unix,server.path=/new/run/n.sock",
  ],
  [
    ["-blockdev", "driver=ssh,node-name=n,path=/remote,server.host=h,server.port=22"],
    [],
    "-blockdev driver=ssh,node-name=n,path=/remote,server.host=h,server.port=22",
  ],
  [
    ["-netdev", "tap,id=n,script=/etc/up,downscript=no"],
    ["program /etc/up"],
    "-netdev tap,id=n,script=/new/etc/up,downscript=no",
  ],
  [
    ["-netdev", "stream,id=n,addr.type=unix,addr.path=/run/s"],
    ["socket w c /run/s"],
    "-netdev stream,id=n,addr.type=unix,addr.path=/new/run/s",
  ],
  [
    ["-chardev", "socket,id=c,path=/run/a,,b.sock,server=on,wait=off,logfile=/l"],
    ["socket w /run/a,b.sock", "output w /l"],
    "-chardev socket,id=c,path=/new/run/a,,b.sock,server=on,wait=off,logfile=/new/l",
  ],
  [
    ["-chardev", "socket,id=c,path=/run/swtpm.sock"],
    ["socket w c /run/swtpm.sock"],
    "-chardev socket,id=c,path=/new/run/swtpm.sock",
  ],
  [
    ["-chardev", "socket,id=c,path=/run/e.sock,reconnect=5"],
    ["socket w /run/e.sock"],
    "-chardev socket,id=c,path=/new/run/e.sock,reconnect=5",
  ],
  [
    ["-chardev", "file,id=c,path=/o,input-path=/i"],
    ["output w /o", "read-only /i"],
    "-chardev file,id=c,path=/new/o,input-path=/new/i",
  ],
  [
    ["-qmp", "unix:/run/a,,b.qmp,server,nowait"],
    ["socket w /run/a,b.qmp"],
    "-qmp unix:/new/run/a,,b.qmp,server,nowait",
  ],
  [["-serial", "file:/log/a,b=c"], ["output w /log/a,b=c"], "-serial file:/new/log/a,b=c"],
  [
    ["-serial", "mon:unix:@run,server=on"],
    ["socket w @run"],
    "-serial mon:unix:/new/@run,server=on",
  ],
  [["-serial", "/dev/ttyS0"], ["device w /dev/ttyS0"], "-serial /new/dev/ttyS0"],
  [["-serial", "mon:stdio"], [], "-serial mon:stdio"],
  [
    ["-monitor", "tcp:127.0.0.1:4444,server,nowait"],
    [],
    "-monitor tcp:127.0.0.1:4444,server,nowait",
  ],
  [
    ["-vnc", "unix:/run/v.sock,password=on"],
    ["socket w /run/v.sock"],
    "-vnc unix:/new/run/v.sock,password=on",
  ],
  [["-vnc", ":1"], [], "-vnc :1"],
  [["-spice", "unix=on,addr=/run/s"], ["socket w /run/s"], "-spice unix=on,addr=/new/run/s"],
  [["-spice", "port=5900,addr=127.0.0.1"], [], "-spice port=5900,addr=127.0.0.1"],
  [["-bios", "bios.bin"], ["read-only s bios.bin"], "-bios /new/bios.bin"],
  [["-kernel", "/boot/v=1,2"], ["read-only /boot/v=1,2"], "-kernel /new/boot/v=1,2"],
  [
    ["-acpitable", "sig=A,file=/a:/b"],
    ["read-only /a", "read-only /b"],
    "-acpitable sig=A,file=/new/a:/new/b",
  ],
  [["-fw_cfg", "opt/x,file=/f"], ["read-only /f"], "-fw_cfg opt/x,file=/new/f"],
  [["-fw_cfg", "opt/x,string=/f"], [], "-fw_cfg opt/x,string=/f"],
  [
    ["-object", '{"qom-type":"secret","id":"s","file":"/s"}'],
    ["read-only /s"],
    '-object {"qom-type":"secret","id":"s","file":"/new/s"}',
  ],
  [
    ["-object", "memory-backend-file,id=m,size=1G,mem-path=/dev/shm/m,share=on"],
    ["output w /dev/shm/m"],
    "-object memory-backend-file,id=m,size=1G,mem-path=/new/dev/shm/m,share=on",
  ],
  [
    ["-trace", "events=/e,file=/t"],
    ["read-only /e", "output w /t"],
    "-trace events=/new/e,file=/new/t",
  ],
  [["-plugin", "/p.so,x=1"], ["program /p.so"], "-plugin /new/p.so,x=1"],
  [["-plugin", "file=/p.so"], ["program /p.so"], "-plugin file=/new/p.so"],
  [["-set", "drive.d0.file=/v/a"], ["image w /v/a"], "-set drive.d0.file=/new/v/a"],
  [
    ["-virtfs", "local,path=/s,mount_tag=t,readonly=on"],
    ["directory /s"],
    "-virtfs local,path=/new/s,mount_tag=t,readonly=on",
  ],
];

for (const [argv, expected, changed] of CASES) {
  Deno.test(`the paths of ${argv.join(" ")} are known and can be moved`, () => {
    assertEquals(paths(...argv), expected);
    assertEquals(moved(...argv), changed);
  });
}

Deno.test("a file below a read-only node is only read", () => {
  assertEquals(
    paths(
      ...["-blockdev", "driver=file,node-name=s,filename=/a"],
      ...["-blockdev", '{"driver":"raw","node-name":"f","read-only":true,"file":"s"}'],
    ),
    ["read-only /a"],
  );
});

Deno.test("a file that something else may write is not only read", () => {
  const file = ["-blockdev", "driver=file,node-name=s,filename=/a"];
  const reader = ["-blockdev", "driver=raw,node-name=f,read-only=on,file=s"];
  const written = ["image w /a"];
  assertEquals(paths(...file, ...reader, "-blockdev", "driver=raw,node-name=w,file=s"), written);
  assertEquals(paths(...file, ...reader, "-device", "virtio-blk,drive=s"), written);
  assertEquals(paths(...file, ...reader, "-device", "virtio-blk,drive=f,id=s"), ["read-only /a"]);
  assertEquals(
    paths("-drive", "driver=raw,readonly=on,file.filename=/a,file.read-only=off,file.node-name=s"),
    written,
  );
});

Deno.test("a client that tries again needs nobody at its socket, and makes none", () => {
  const [path] = pathsOf(parseCommand(["qemu", "-serial", "unix:/s,reconnect=1"]));
  assertEquals([path?.connects, path?.retries], [false, true]);
});

Deno.test("an implied value that gets an equals sign gets its key, too", () => {
  const command = parseCommand(["qemu", "-option-rom", "a.rom,bootindex=1"]);
  assertEquals(
    writeCommand(withPaths(command, () => "/a=b.rom")).at(-1),
    "romfile=/a=b.rom,bootindex=1",
  );
});

Deno.test("a relative name with a colon stays a path", () => {
  const command = parseCommand(["qemu", "-hda", "a.img"]);
  assertEquals(writeCommand(withPaths(command, () => "a:b.img")).at(-1), "./a:b.img");
});
