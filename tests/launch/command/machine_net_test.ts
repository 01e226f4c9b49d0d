/** Starts QEMU with command lines and their translations, and compares the machines that it makes. */
import { assert, assertEquals } from "@std/assert";
import {
  expandConfig,
  forDestination,
  parseCommand,
  writeCommand,
} from "../../../src/launch/command/mod.ts";
import { findQemus, type Qemu } from "./qemus.ts";

interface Case {
  readonly argv: readonly string[];
  /** Newest version that has all of its options. */
  readonly until?: number;
  readonly machineType?: string;
  /** A command line that works here and makes the same machine; by default the same one. */
  readonly like?: readonly string[];
}

const CONFIG = `[device "c"]
  driver = "pci-bridge"
  chassis_nr = "7"
[smp-opts]
  cpus = "2"
[memory]
  size = "96"
`;

const CASES: readonly Case[] = [
  { argv: ["-nographic"] },
  { argv: ["-nographic", "-serial", "null", "-parallel", "none"] },
  { argv: ["-nographic", "-device", "isa-serial", "-nodefaults"] },
  {
    argv: ["-display", "none", "-chardev", "stdio,id=c,mux=on,signal=off", "-serial", "chardev:c"],
  },
  { argv: ["-vnc", "none", "-serial", "mon:stdio", "-no-acpi", "-no-hpet"], until: 8 },
  { argv: ["-display", "none", "-serial", "unix:DIR/s,server,nowait"] },
  {
    argv: [
      ...["-display", "none", "-nodefaults", "-device", "e1000,id=n"],
      ...["-set", "device.n.mac=52:54:00:12:34:99"],
    ],
  },
  { argv: ["-display", "none", "-readconfig", "DIR/a,b.cfg"] },
  { argv: ["-display", "none", "-machine", "accel=tcg"], machineType: "pc-i440fx-7.2" },
  { argv: ["-M", "q35", "-display", "none"], machineType: "pc-q35-7.2" },
  {
    argv: [
      ...["-display", "none", "-audiodev", "oss,id=a,out.frequency=44100,out.dev=/dev/null"],
      ...["-device", "AC97,audiodev=a"],
    ],
    like: ["-display", "none", "-audiodev", "none,id=a", "-device", "AC97,audiodev=a"],
  },
  { argv: ["-display", "gtk", "-full-screen"], like: ["-display", "none"] },
  { argv: [], like: ["-display", "none"] },
];

/** \`info qtree\` of a machine, without the names of this run. */
async function machine(qemu: Qemu, argv: readonly string[], dir: string): Promise<string> {
  const socket = `${dir}/qmp`;
  const child = new Deno.Command(qemu.binary, {
    args: [...argv, "-qmp", `unix:${socket},server=on,wait=off`],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const ended = child.output().then(({ stderr }) => new TextDecoder().decode(stderr));
  try {
    return await Promise.race([
      qtree(socket),
      ended.then((text) => {
        throw new Error(`${argv.join(" ")}: ${text}`);
      }),
    ]);
  } finally {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await ended;
    await Deno.remove(socket).catch(() => {});
  }
}

async function qtree(socket: string): Promise<string> {
  const deadline = Date.now() + 20_000;
  let connection: Deno.UnixConn | undefined;
  while (connection === undefined) {
    connection = await Deno.connect({ transport: "unix", path: socket }).catch(() => undefined);
    assert(Date.now() < deadline, "QEMU did not open its QMP socket");
    if (connection === undefined) await new Promise((done) => setTimeout(done, 20));
  }
  const commands = [
    { execute: "qmp_capabilities" },
    { execute: "human-monitor-command", arguments: { "command-line": "info qtree" } },
  ];
  for (const command of commands) {
    await connection.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
  }
  let text = "";
  for await (const chunk of connection.readable) {
    text += new TextDecoder().decode(chunk);
    const found = /"return": ("(?:[^"\\]|\\.)+")\}/.exec(text);
    if (found) return JSON.parse(found[1]!) as string;
  }
  throw new Error(`QMP ended: ${text}`);
}

for (const qemu of (await findQemus()).filter(({ x86 }) => x86)) {
  for (const { argv: words, until = 99, machineType, like } of CASES) {
    if (qemu.major > until) continue;
    Deno.test(
      `${qemu.version}: the translation of ${words.join(" ")} makes the same machine`.replace(
        "  ",
        " ",
      ),
      async () => {
        const dir = await Deno.makeTempDir();
        try {
          await Deno.writeTextFile(`${dir}/a,b.cfg`, CONFIG);
          const start = (argv: readonly string[]) => [
            ...argv.map((word) => word.replace("DIR", dir)),
            ...["-S", "-m", "64"],
          ];
          const command = await expandConfig(
            parseCommand(["qemu", ...start(words)]),
            (path) => Deno.readTextFile(path),
          );
          const { command: after, problems } = forDestination(command, {
            removed: [],
            added: [],
            machineType: machineType ?? null,
          });
          assertEquals(problems, []);
          const expected = await machine(
            qemu,
            [
              ...start(like ?? words),
              ...machineType === undefined ? [] : ["-machine", machineType],
            ],
            dir,
          );
          assert(expected.includes("bus: main-system-bus"), expected);
          assertEquals(await machine(qemu, writeCommand(after).slice(1), dir), expected);
        } finally {
          await Deno.remove(dir, { recursive: true });
        }
      },
    );
  }
}
