import { assertEquals } from "@std/assert";
import { expandConfig, parseCommand, programsIn } from "../../../src/launch/command/mod.ts";
import { BY_HAND, LIBVIRT, PROXMOX, QUICKEMU } from "./samples.ts";

function programs(argv: readonly string[]): string[] {
  return programsIn(parseCommand(["qemu", ...argv])).map(({ option, what }) => `${option} ${what}`);
}

Deno.test("every option that runs a program is named", () => {
  const cases: [argv: string[], expected: string[]][] = [
    [["-netdev", "tap,id=n"], ["runs /etc/qemu-ifup", "runs /etc/qemu-ifdown"]],
    [["-netdev", "tap,id=n,script=no"], ["runs /etc/qemu-ifdown"]],
    [["-netdev", "tap,id=n,script=no,downscript=/x"], ["runs /x"]],
    [["-netdev", "tap,id=n,script=/x,script=no,downscript=no"], ["runs /x"]],
    [["-netdev", "tap,id=n,fd=3,script=/x"], ["runs /x"]],
    [["-netdev", "tap,id=n,helper=/h"], ["runs /h"]],
    [["-netdev", '{"type":"tap","id":"n","script":"/x","downscript":"no"}'], ["runs /x"]],
    [["-netdev", "{'type':'tap','id':'n','script':'/x','downscript':'no'}"], ["runs /x"]],
    [["-netdev", '{"\\u0074ype":"tap","id":"n","fd":"3","\\u0073cript":"/x"}'], ["runs /x"]],
    [["-netdev", "type=user,type=tap,id=n"], ["runs /etc/qemu-ifup", "runs /etc/qemu-ifdown"]],
    [["-net", "tap,script=/x,downscript="], ["runs /x"]],
    [["-nic", "tap,model=e1000"], ["runs /etc/qemu-ifup", "runs /etc/qemu-ifdown"]],
    [["-nic", "bridge,br=b"], ["runs qemu-bridge-helper"]],
    [["-netdev", "bridge,id=n,helper=/x --a"], ["runs /x --a"]],
    [["-netdev", "user,id=n,smb=/s"], ["runs smbd for /s"]],
    [
      ["-netdev", "user,id=n,guestfwd=tcp:10.0.2.9:80-cmd:nc a,,b"],
      ["runs nc a,b for each connection"],
    ],
    [
      ["-netdev", '{"type":"user","id":"n","guestfwd":[{"str":"tcp:1.2.3.4:1-cmd:x"}]}'],
      ["runs x for each connection"],
    ],
    [["-netdev", "passt,id=n,path=/x"], ["runs /x with arguments of its choice"]],
    [["-netdev", "new,id=n"], ["is of the type new, which vmferry does not know"]],
    [["-netdev", "user,id=n,run=x"], ["has the key run, which vmferry does not know"]],
    [["-netdev", "tap,id=n,fd=3,noscript"], ["has the key noscript, which vmferry does not know"]],
    [["-netdev", "id=n"], ["has no type"]],
    [["-netdev", "user,id=n", "-set", "netdev.n.smb=/s"], ["runs smbd for /s"]],
    [["-set", "netdev.other.script=/x"], ["changes an option that vmferry does not see"]],
    [["-readconfig", "/c"], ["adds options that vmferry has not read"]],
    [["-incoming", "exec:cat /x"], ["runs a command that sends the guest"]],
    [["-plugin", "/p.so,a=b"], ["loads the plugin /p.so"]],
    [["-audiodev", "jack,id=a,out.start-server=on"], ["starts a JACK server"]],
    [["-audiodev", "alsa,id=a,out.dev=file:'|x',,raw"], [
      "opens the sound device file:'|x',raw, which may run a program",
    ]],
    [["-netdev", "user,id=n,guestfwd=tcp:10.0.2.9:80-unix:/q"], ["connects the guest to unix:/q"]],
    [["-netdev", "user,id=n,guestfwd=tcp:10.0.2.9:80-tcp:h:1,,logfile=/x"], [
      "connects the guest to tcp:h:1,logfile=/x",
    ]],
    [["-netdev", "af-xdp,id=n,ifname=eth0"], ["takes over a network interface of the host"]],
    [["-device", "ccid-card-emulated,db=sql:x"], ["takes a device of the host"]],
    [["-blockdev", "driver=nvme,node-name=n,device=0000:01:00.0,namespace=1"], [
      "takes a device of the host",
    ]],
    [["-drive", "file=nvme://0000:01:00.0/1"], ["takes a device of the host"]],
    [["-device", '{"driver":"usb-host","vendorid":1}'], ["takes a device of the host"]],
    ...([
      ["-drive", "file=rbd:p/i:log_file=/x"],
      ["-hda", "rbd:p/i:id=a:conf=/srv/c"],
      [
        "-blockdev",
        '{"driver":"rbd","node-name":"a","=keyvalue-pairs":"[\\"log_file\\",\\"x\\"]"}',
      ],
    ].map((argv): [string[], string[]] => [
      argv,
      ["gives Ceph settings, which can load code and write files"],
    ])),
    // QEMU reads no JSON here.
    [["-netdev", "user,id=n", "-chardev", '{"a":",id=c,backend=vc,b="}', "-mon", "c"], [
      "opens a monitor to others, and a monitor's user can run programs",
    ]],
    [["-display", "spice-app"], ["starts a viewer"]],
    [["-display", "new"], ["is of the type new, which vmferry does not know"]],
    [["-object", "authz-pam,id=a,service=s"], ["loads the PAM modules of s"]],
    [["-object", "new,id=a"], ["is of the type new, which vmferry does not know"]],
    [["-device", "new,id=n,x=/x"], ["gets /x in the key x, which vmferry does not know"]],
    [["-device", '{"driver":"new","x":{"y":["../x"]}}'], [
      "gets ../x in the key x.y.0, which vmferry does not know",
    ]],
    [["-global", "new.x=/x"], ["gets /x, which vmferry does not know"]],
    [["-semihosting"], ["lets the guest run programs of the host"]],
    [["-semihosting-config", "enable=on"], ["lets the guest run programs of the host"]],
    [["-s"], ["opens a debugger's port, which reaches QEMU's monitor"]],
    [["-gdb", "tcp::1"], ["opens a debugger's port, which reaches QEMU's monitor"]],
    ...([
      ["-monitor", "tcp::1,server,nowait"],
      ["-monitor", "vc"],
      ["-qmp", "telnet:0.0.0.0:1,server"],
      ["-serial", "mon:udp::1@:2"],
      ["-mon", "chardev=absent"],
      ["-chardev", "socket,id=c,host=0.0.0.0,port=1,server=on", "-mon", "c"],
      ["-chardev", "socket,id=c,path=/p,port=1", "-mon", "chardev=c,mode=control"],
      ["-chardev", "spiceport,id=c,name=x", "-mon", "c"],
      ["-chardev", "pty,id=c", "-set", "chardev.c.backend=vc", "-mon", "c"],
      ["-chardev", "vc,id=c", "-qmp", "chardev:c"],
      ["-chardev", "file,id=c,path=/o,input-path=/i", "-mon", "chardev=c,mode=readline"],
    ].map((argv): [string[], string[]] => [
      argv,
      ["opens a monitor to others, and a monitor's user can run programs"],
    ])),
  ];
  for (const [argv, expected] of cases) {
    const found = programsIn(parseCommand(["qemu", ...argv])).map(({ what }) => what);
    assertEquals(found, expected, argv.join(" "));
  }
});

Deno.test("options that run no program are not named", () => {
  const none = [
    ["-netdev", "tap,id=n,script=no,downscript=no,vhost=on,queues=2,ifname=t"],
    ["-netdev", '{"type":"tap","fd":"31","vhost":true,"vhostfd":"33","id":"hostnet0"}'],
    ["-netdev", "user,id=n,hostfwd=tcp::1-:2,dnssearch=a,net=10.0.0.0/8,tftp=/t"],
    [
      "-netdev",
      '{"type":"user","id":"n","hostfwd":[{"str":"tcp::1-:2"}],"dnssearch":[{"str":"a"}]}',
    ],
    ["-netdev", "stream,id=n,server=on,addr.type=inet,addr.host=h,addr.port=1,reconnect-ms=5"],
    ["-netdev", "user,id=n,guestfwd=tcp:10.0.2.9:80-tcp:h:1"],
    ["-nic", "user,model=virtio-net-pci,mac=52:54:00:00:00:01"],
    ["-nic", "none"],
    ["-net", "nic,model=e1000,macaddr=a,vectors=1"],
    ["-chardev", "socket,id=c,path=/p,server=on,wait=off", "-mon", "chardev=c,mode=control"],
    [
      "-qmp",
      "unix:/q,server,nowait",
      "-monitor",
      "none",
      "-serial",
      "mon:stdio",
      "-serial",
      "tcp::1",
    ],
    ["-object", "memory-backend-memfd,id=m,size=1G", "-object", "iothread,id=i"],
    ["-object", '{"qom-type":"tls-creds-x509","id":"t","dir":"/d","endpoint":"server"}'],
    ["-display", "egl-headless,rendernode=/dev/dri/renderD128", "-audiodev", "pa,id=a"],
    ["-audiodev", "alsa,id=a,out.dev=hw:0,,3,in.dev=default"],
    ["-incoming", "defer"],
    ["-drive", "file=rbd:p/i:id=a:mon_host=h\\:6789,format=raw", "-hda", "rbd:p/i"],
    ["-smbios", "type=1,serial=/a", "-fw_cfg", "opt/x,string=/b", "-acpitable", "file=/a:/b"],
    ["-device", "virtio-blk,drive=d,serial=/a", "-drive", "file=/v/a,if=none,id=d"],
    ["-global", "driver.prop=value", "-blockdev", "driver=ssh,path=x,server.host=h"],
  ];
  for (const argv of none) assertEquals(programs(argv), [], argv.join(" "));
});

Deno.test("a program in a configuration file is named once the file is read", async () => {
  const config = '[netdev "n"]\n  type = "tap"\n  script = "/x"\n  downscript = "no"\n';
  const command = parseCommand(["qemu", "-readconfig", "/c"]);
  const expanded = await expandConfig(command, () => Promise.resolve(config));
  assertEquals(programsIn(expanded), [{ option: "-netdev tap,id=n", what: "runs /x" }]);
});

Deno.test("the programs of usual command lines are those of their networks", () => {
  assertEquals(programs(LIBVIRT.slice(1)).filter((line) => !line.includes("monitor")), []);
  assertEquals(programs(PROXMOX.slice(1)), [
    "-netdev tap,id=net0 runs /var/lib/qemu-server/pve-bridge",
    "-netdev tap,id=net0 runs /var/lib/qemu-server/pve-bridgedown",
  ]);
  assertEquals(programs(QUICKEMU.slice(1)), [
    "-netdev user,id=nic runs smbd for /home/me/Public",
  ]);
  assertEquals(programs(BY_HAND.slice(1)), []);
});
