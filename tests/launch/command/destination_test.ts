import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  type Changes,
  CommandLineError,
  forDestination,
  parseCommand,
  type Translation,
  writeCommand,
} from "../../../src/launch/command/mod.ts";
import { BY_HAND, LIBVIRT, PROXMOX, QUICKEMU } from "./samples.ts";

const NONE: Changes = { removed: [], added: [] };

function translate(argv: readonly string[], changes: Changes = NONE): Translation {
  return forDestination(parseCommand(["qemu", ...argv]), changes);
}

/** The arguments at the destination, without the ones that every translation ends with. */
function translated(argv: readonly string[], changes: Changes = NONE): string {
  const { command, problems } = translate(["-display", "none", ...argv], changes);
  assertEquals(problems, []);
  const words = writeCommand(command).slice(1);
  assertEquals(words.splice(-2), ["-incoming", "defer"]);
  return words.join(" ").replace("-display none", "").trim();
}

/** The only problem of an option. */
function problem(...argv: string[]): string {
  const { problems } = translate(argv);
  assertEquals(problems.length, 1, problems.join("\n"));
  return problems[0]!;
}

/** The only warning of an option. */
function warning(...argv: string[]): string {
  const { warnings, problems } = translate(["-display", "none", ...argv]);
  assertEquals(problems, []);
  assertEquals(warnings.length, 1, warnings.join("\n"));
  return warnings[0]!;
}

Deno.test("a guest that came by migration can cross again", () => {
  assertEquals(translated(["-incoming", "defer", "-name", "a", "-S", "-loadvm", "x"]), "-name a");
});

Deno.test("the destination's QEMU does not daemonize, but keeps its pidfile and log", () => {
  assertEquals(translated(["-daemonize", "-pidfile", "/p", "-D", "/l"]), "-pidfile /p -D /l");
});

Deno.test("a relative path is refused with -daemonize, which changes the directory", () => {
  assertMatch(problem("-daemonize", "-hda", "d.img"), /^-hda d.img: .*-daemonize.*absolute paths/);
  translated(["-daemonize", "-bios", "bios.bin", "-hda", "/d.img"]);
  translated(["-hda", "d.img"]);
});

Deno.test("options that cannot be reproduced are refused by their names", () => {
  const cases: [argv: string[], expected: RegExp][] = [
    [["-snapshot"], /^-snapshot: .*without -snapshot/],
    [["-drive", "file=/a,id=d,snapshot=on"], /^-drive id=d: .*temporary file/],
    [["-add-fd", "fd=3,set=1"], /^-add-fd: .*by its path/],
    [["-drive", "file=/dev/fdset/1,id=d"], /^-drive id=d: .*\/dev\/fdset\/1/],
    [["-hda", "/dev/fd/3"], /^-hda .*\/dev\/fd\/3/],
    [["-kernel", "/proc/self/fd/4"], /^-kernel .*\/proc\/self\/fd\/4/],
    [["-netdev", "tap,id=n,fd=33"], /^-netdev tap,id=n: .*descriptor 33.*ifname=/],
    [["-netdev", '{"type":"tap","id":"n","fds":"3:4"}'], /descriptor 3:4/],
    [["-netdev", "stream,id=n,addr.type=fd,addr.str=3"], /^-netdev stream,id=n: /],
    [["-chardev", "socket,id=c,fd=5"], /^-chardev socket,id=c: .*by its path/],
    [["-device", "vhost-vsock-pci,guest-cid=3,vhostfd=9"], /descriptor 9/],
    [["-chardev", "pipe,id=c,path=/p"], /^-chardev pipe,id=c: .*use a socket/],
    [["-serial", "pipe:/p"], /^-serial pipe:\/p: .*use a socket/],
    [["-device", "vfio-pci,host=01:00.0,id=gpu"], /^-device vfio-pci,id=gpu: .*device_del, id gpu/],
    [["-device", '{"driver":"usb-host","id":"u"}'], /^-device usb-host,id=u: .*device_del/],
    [["-usbdevice", "host:1234:5678"], /^-usbdevice host/],
    [["-device", "scsi-generic,drive=d"], /scsi-hd/],
    [["-tpmdev", "passthrough,id=t"], /^-tpmdev passthrough,id=t/],
    [["-object", "input-linux,id=i,evdev=/dev/input/event0"], /^-object input-linux,id=i/],
    [["-object", "secret_keyring,id=s,serial=1"], /keyring/],
    [["-netdev", "vhost-vdpa,id=n,vhostdev=/dev/vhost-vdpa-0"], /^-netdev vhost-vdpa,id=n/],
    [["-blockdev", "driver=nvme,node-name=n,device=0000:01:00.0,namespace=1"], /node-name=n/],
    [["-drive", "file=nvme://0000:01:00.0/1,id=n"], /^-drive id=n/],
    [["-chroot", "/c"], /^-chroot/],
    [["-run-with", "chroot=/c"], /^-run-with: .*chroot/],
    [["--preconfig"], /^-preconfig: .*--qemu-command/],
    [["-icount", "shift=1,rr=record,rrfile=/r"], /^-icount 1: /],
    [["-display", "dbus"], /^-display dbus: .*-vnc/],
    [["-readconfig", "/c"], /^-readconfig/],
    [["-set", "device.no.x=y"], /^-set/],
    [["-version"], /^-version/],
  ];
  for (const [argv, expected] of cases) assertMatch(problem(...argv), expected);
});

Deno.test("a password in a value is not in a message", () => {
  const { problems } = translate(["-drive", "file=/dev/fdset/1,id=d,file.password=geheim"]);
  assertEquals(problems.length, 1);
  assert(!problems[0]!.includes("geheim"));
});

Deno.test("-set is applied to its option before anything is decided", () => {
  assertEquals(
    translated(["-device", "e1000,id=n", "-set", "device.n.mac=a,b"]),
    "-device e1000,id=n,mac=a,,b",
  );
  assertMatch(problem("-netdev", "tap,id=n", "-set", "netdev.n.fd=3"), /descriptor 3/);
});

Deno.test("standard input and output become a pseudo-terminal", () => {
  const cases = [
    ["-serial stdio", "-serial pty"],
    ["-serial mon:stdio", "-serial mon:pty"],
    ["-monitor stdio", "-monitor pty"],
    ["-chardev stdio,mux=on,id=c,signal=off", "-chardev pty,mux=on,id=c"],
    ["-nographic", "-nographic -serial mon:pty"],
    ["-nographic -qmp unix:/q,server,nowait", "-nographic -serial pty -qmp unix:/q,server,nowait"],
    ["-nographic -serial null", "-nographic -monitor pty -serial null"],
    ["-nographic -nodefaults", "-nographic -nodefaults"],
    ["-nographic -monitor none -device isa-serial", "-nographic -monitor none -device isa-serial"],
  ];
  for (const [before, after] of cases) assertEquals(translated(before!.split(" ")), after);
  assertMatch(warning("-serial", "stdio"), /^-serial stdio: .*pseudo-terminal/);
  assertEquals(translated(["-gdb", "stdio"]), "");
  assertEquals(translated(["-gdb", "tcp::1234"]), "-gdb tcp::1234");
});

Deno.test("a server does not wait for its first client", () => {
  const cases = [
    ["-serial unix:/s,server", "-serial unix:/s,server,wait=off"],
    ["-qmp unix:/s,server=on,wait", "-qmp unix:/s,server=on,wait=off"],
    ["-monitor tcp::4444,server,nowait", "-monitor tcp::4444,server,nowait"],
    ["-chardev socket,id=c,path=/s,server=on", "-chardev socket,id=c,path=/s,server=on,wait=off"],
    ["-chardev socket,id=c,path=/s,reconnect=1", "-chardev socket,id=c,path=/s,reconnect=1"],
  ];
  for (const [before, after] of cases) assertEquals(translated(before!.split(" ")), after);
});

Deno.test("QEMU waits for the process of a vhost-user device", () => {
  const argv = "-chardev socket,id=c,path=/s,server=on -netdev vhost-user,id=n,chardev=c";
  assertEquals(translated(argv.split(" ")), argv);
});

Deno.test("a process to which QEMU connects is named with its socket", () => {
  assertMatch(
    warning("-chardev", "socket,id=c,path=/t.sock", "-tpmdev", "emulator,id=t,chardev=c"),
    /^-chardev socket,id=c: .*\/t\.sock on the destination; start swtpm .*path=\/t\.sock/,
  );
  assertMatch(
    warning("-chardev", "socket,id=c,path=/v", "-device", "vhost-user-fs-pci,chardev=c,tag=t"),
    /another process must listen at \/v/,
  );
  assertMatch(warning("-serial", "tcp:localhost:1"), /another process must listen at localhost/);
  assertEquals(translate(["-vnc", ":1", "-serial", "tcp:h:1"]).warnings, []);
  assertEquals(translate(["-vnc", ":1", "-serial", "tcp:localhost:1,reconnect=1"]).warnings, []);
});

Deno.test("a window becomes a VNC server on localhost", () => {
  for (const argv of [[], ["-display", "gtk"], ["-display", '{"type":"sdl"}']]) {
    const { command } = translate(argv);
    assertEquals(writeCommand(command).slice(1, 3), ["-vnc", "localhost:0,to=99"]);
  }
  const { command } = translate(["-display", "gtk", "-vnc", ":1", "-full-screen"]);
  assertEquals(writeCommand(command).slice(1, 5), ["-display", "none", "-vnc", ":1"]);
  assertEquals(translated(["-spice", "port=5900"]), "-spice port=5900");
});

Deno.test("an address of the source host is reported", () => {
  assertMatch(warning("-vnc", "192.0.2.5:1"), /^-vnc 192\.0\.2\.5:1: .*192\.0\.2\.5/);
  assertMatch(warning("-spice", "port=1,addr=192.0.2.5"), /^-spice: .*192\.0\.2\.5/);
  assertMatch(warning("-serial", "tcp:192.0.2.5:1,server=on,wait=off"), /listens at 192\.0\.2\.5/);
  assertMatch(
    warning("-chardev", "socket,id=c,host=192.0.2.5,port=1,server=on,wait=off"),
    /listens at 192\.0\.2\.5/,
  );
  for (const at of ["0.0.0.0:1", ":1", "127.0.0.1:1", "localhost:1", "[::]:1", "unix:/v", "none"]) {
    assertEquals(translate(["-vnc", at]).warnings, [], at);
  }
});

Deno.test("sound of a user's session becomes silence, and the guest keeps its device", () => {
  assertEquals(
    translated(["-audiodev", "pa,id=a,server=/run/s,out.frequency=44100,out.name=x"]),
    "-audiodev none,id=a,out.frequency=44100",
  );
  assertEquals(
    translated(["-audiodev", '{"driver":"alsa","id":"a"}']),
    "-audiodev driver=none,id=a",
  );
  assertEquals(translated(["-audiodev", "spice,id=a"]), "-audiodev spice,id=a");
});

Deno.test("a tap interface without a script is reported, one with a script is not", () => {
  assertMatch(
    warning("-netdev", "tap,id=n,ifname=tap0,script=no,downscript=no"),
    /^-netdev tap,id=n: .*tap0/,
  );
  assertEquals(translate(["-vnc", ":1", "-netdev", "tap,id=n,ifname=tap0"]).warnings, []);
});

Deno.test("the machine type is the one that the source's QEMU has", () => {
  const at = (...argv: string[]) => translated(argv, { ...NONE, machineType: "pc-q35-7.2" });
  assertEquals(at("-M", "q35,accel=kvm"), "-M pc-q35-7.2,accel=kvm");
  assertEquals(at("-machine", "accel=kvm"), "-machine pc-q35-7.2  -machine accel=kvm");
  assertEquals(at("-machine", "type=q35"), "-machine type=pc-q35-7.2");
});

Deno.test("options that newer versions of QEMU lack become what all have", () => {
  assertEquals(translated(["-no-acpi", "-no-hpet"]), "-machine acpi=off -machine hpet=off");
  assertEquals(translated(["-run-with", "exit-with-parent=on"]), "");
  assertEquals(translated(["-run-with", "exit-with-parent=on,user=a"]), "-run-with user=a");
});

Deno.test("removed devices go and added ones come", () => {
  const changes: Changes = {
    removed: ["vd1", "n1"],
    added: [["device", '{"driver":"virtio-net-pci","id":"net9"}']],
  };
  assertEquals(
    translated(
      [
        ...["-device", '{"driver":"virtio-blk-pci","id":"vd1"}', "-blockdev"],
        ...["driver=null-co,node-name=n1", "-device", "e1000,id=e"],
      ],
      changes,
    ),
    '-device e1000,id=e -device {"driver":"virtio-net-pci","id":"net9"}',
  );
  const { problems } = translate([], { removed: ["x"], added: [] });
  assertMatch(problems.join(), /^x was removed .*--qemu-command/);
  assertThrows(() => translate([], { removed: [], added: [["nosuch", ""]] }), CommandLineError);
});

Deno.test("a guest of libvirt is refused with the command for it", () => {
  const { problems } = translate(LIBVIRT.slice(1));
  assertMatch(problems[0]!, /libvirt manages this guest.*vmferry domain/);
});

Deno.test("a name as libvirt writes it and an image in its directory are no proof of libvirt", () => {
  const argv = ["-name", "guest=a,debug-threads=on", "-hda", "/var/lib/libvirt/images/a.img"];
  assertEquals(translate(argv).problems, []);
});

Deno.test("the command line of Proxmox VE is translated with a warning", () => {
  const { problems, warnings, command } = translate(PROXMOX.slice(1));
  assertEquals(problems, []);
  assertEquals(warnings.length, 1);
  assertMatch(warnings[0]!, /^-id 100: Proxmox VE .*qm migrate/);
  assertEquals(
    writeCommand(command).slice(1),
    [...PROXMOX.slice(1).filter((word) => word !== "-daemonize"), "-incoming", "defer"],
  );
});

Deno.test("the command line of quickemu is translated", () => {
  const { problems, warnings, command } = translate(QUICKEMU.slice(1));
  assertEquals(problems, []);
  assertEquals(warnings.map((w) => w.split(":")[0]), ["-display sdl", "-audiodev pa,id=audio0"]);
  assertEquals(writeCommand(command).includes("sdl,gl=off"), false);
});

Deno.test("every problem of a command line is reported at once", () => {
  const { problems } = translate([...BY_HAND.slice(1), "-add-fd", "fd=3,set=1"]);
  assertEquals(problems.map((p) => p.split(":")[0]), ["-snapshot", "-add-fd"]);
});
