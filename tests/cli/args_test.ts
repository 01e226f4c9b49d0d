import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { formatAddress, parseAddress } from "../../src/cli/endpoint/address.ts";
import { parseCommandLine } from "../../src/cli/args/mod.ts";
import { COMMANDS } from "../../src/cli/help/flag.ts";
import { FLAGS } from "../../src/cli/help/flags.ts";
import { helpText } from "../../src/cli/help/help.ts";
import { formatSize, parseDuration, parseSize } from "../../src/cli/args/size.ts";
import { findOwner } from "../../src/cli/run/socket_owner.ts";
import { UsageError } from "../../src/cli/args/usage_error.ts";

const parse = (line: string) => parseCommandLine(line.split(" ").filter((w) => w !== ""));

Deno.test("migrate accepts every flag at once", () => {
  assertEquals(
    parse(
      "migrate --qmp /q --disk vda --disk=vdb --bandwidth 1.5G --max-downtime 250 --timeout 2m " +
        "--quit-source --secret-file /s --insecure --grace 0 --json tcp://[::1]:7450",
    ),
    {
      command: "migrate",
      qmp: "/q",
      destination: { transport: "tcp", host: "::1", port: 7450 },
      disks: ["vda", "vdb"],
      shared: [],
      reuse: [],
      ...{ sync: "full", verifyBase: false, delta: false, verify: false },
      launch: undefined,
      bandwidth: 1.5 * 1024 ** 3,
      parallel: { maxParallel: null, maxWaitMs: 0, hostBandwidth: null, lockDir: undefined },
      maxDowntimeMs: 250,
      timeoutMs: 120_000,
      timeoutAction: "abort",
      ram: {},
      quitSource: true,
      allow: [],
      hooks: { beforeSwitchover: undefined, after: undefined, timeoutMs: 30_000 },
      ...{ resume: false, runDir: undefined },
      json: true,
      quiet: false,
      verbose: false,
      secretFile: "/s",
      insecure: true,
      graceMs: 0,
      connectMs: 10_000,
      deadAfterMs: 15_000,
      inFlight: undefined,
      connections: 1,
      compress: "auto",
      socketOwner: undefined,
      ticketFile: undefined,
      transportFlags: {},
      peerArgs: [],
    },
  );
});

Deno.test("receive takes disk name maps, forward takes socket names", () => {
  const receive = parse("receive --qmp /q --listen unix:///s --disk a --disk b=c");
  assert(receive.command === "receive");
  assertEquals(receive.disks, [{ name: "a", local: "a" }, { name: "b", local: "c" }]);
  assertEquals(receive.listen, { transport: "unix", path: "/s" });
  const to = parse("forward --stdio --to nbd=unix:///n --to ram=unix:///r --once");
  assert(to.command === "forward");
  assertEquals(to.mode, {
    listen: "stdio",
    to: [{ name: "nbd", path: "/n" }, { name: "ram", path: "/r" }],
  });
  assertEquals(to.once, true);
});

Deno.test("help and version are found wherever they stand", () => {
  assertEquals(parse("--help"), { command: "help", topic: undefined });
  assertEquals(parse("help migrate"), { command: "help", topic: "migrate" });
  assertEquals(parse("migrate --help"), { command: "help", topic: "migrate" });
  assertEquals(parse("receive --qmp /q -h"), { command: "help", topic: "receive" });
  assertEquals(parse("--version"), { command: "version" });
});

Deno.test("a running migration is chosen and told what to do", () => {
  const choice = { qmp: undefined, name: undefined, runDir: undefined };
  const plain = { json: false, quiet: false, verbose: false };
  assertEquals(parse("status --json --name vm1"), {
    ...{ command: "status", watch: false, ...choice, ...plain, name: "vm1", json: true },
  });
  assertEquals(parse("cancel --qmp /q --timeout 5"), {
    ...{ command: "cancel", timeoutMs: 5000, ...choice, ...plain, qmp: "/q" },
  });
  assertEquals(parse("set bandwidth=5M --run-dir /r"), {
    ...{ command: "set", change: { bandwidth: 5 << 20 }, ...choice, ...plain, runDir: "/r" },
  });
});

Deno.test("each flag is in the help of its commands, and no line is too long for a terminal", () => {
  for (const { name, commands } of FLAGS) {
    for (const command of commands) {
      assert(helpText(command).includes(`  --${name}`), `--${name} in the help of ${command}`);
    }
  }
  for (const topic of [undefined, ...COMMANDS]) {
    for (const line of helpText(topic).split("\n")) assert(line.length <= 100, line);
  }
});

Deno.test("sizes are binary, as QEMU reads them", () => {
  const read = ["1", "500M", "1.5G", "64KiB", "2mb", "1T"].map(parseSize);
  assertEquals(read, [1, 500 * 2 ** 20, 1.5 * 2 ** 30, 65536, 2 ** 21, 2 ** 40]);
  for (const wrong of ["", "0", "-1", "1X", "1e3", "M", "9999999T"]) {
    assertEquals(parseSize(wrong), undefined, wrong);
  }
  assertEquals([0, 1023, 1536, 2 ** 30].map(formatSize), ["0 B", "1023 B", "1.50 KiB", "1.00 GiB"]);
  assertEquals(["5", "1.5s", "250ms", "2m"].map((t) => parseDuration(t, "s")), [
    ...[5000, 1500, 250, 120_000],
  ]);
});

Deno.test("addresses say where, or what is wrong with them", () => {
  assertEquals(parseAddress("tcp://host:0", "x"), { transport: "tcp", host: "host", port: 0 });
  assertEquals(parseAddress("tcp://[fe80::1%25eth0]:1", "x"), {
    ...{ transport: "tcp", host: "fe80::1%25eth0", port: 1 },
  });
  assertThrows(() => parseAddress("host:1", "--listen"), UsageError, "--listen: got");
});

const TICKET = "A".repeat(64);

Deno.test("a receive on tcp makes a ticket unless another proof or none is asked for", () => {
  const listenOf = (line: string) => {
    const command = parse(`receive --qmp /q --listen ${line}`);
    assert(command.command === "receive" && command.listen !== "stdio");
    return command.listen.transport;
  };
  assertEquals(listenOf("tcp://0.0.0.0:0"), "ticket");
  assertEquals(listenOf("tcp://127.0.0.1:0"), "ticket");
  assertEquals(listenOf("vmferry://host:0"), "ticket");
  assertEquals(listenOf("tcp://127.0.0.1:0 --secret-file /s"), "tcp");
  assertEquals(listenOf("tcp://127.0.0.1:0 --insecure"), "tcp");
  assertEquals(listenOf("unix:///s"), "unix");
});

Deno.test("a ticket that is made is left in a file", () => {
  for (const listen of ["tcp://h:0", "vmferry://h:0"]) {
    const command = parse(`receive --qmp /q --listen ${listen} --ticket-file /t`);
    assert(command.command === "receive");
    assertEquals(command.ticketFile, "/t");
  }
  const forward = parse("forward --listen vmferry://h:0 --to a=unix:///a --ticket-file /t");
  assert(forward.command === "forward");
  assertEquals(forward.ticketFile, "/t");
});

Deno.test("a ticket is taken from the address, from a file or from standard input", () => {
  const destinationOf = (line: string) => {
    const command = parse(`migrate --qmp /q ${line}`);
    assert(command.command === "migrate");
    return command.destination;
  };
  const typed = destinationOf(`vmferry://[::1]:7/${TICKET}`);
  assert(typed.transport === "ticket" && typed.ticket?.reveal() === TICKET);
  assertEquals([typed.host, typed.port], ["::1", 7]);
  assertEquals(formatAddress(typed), "vmferry://[::1]:7");
  assert(!`${JSON.stringify(typed)}${Deno.inspect(typed)}`.includes("AAAA"));
  assertEquals(destinationOf("-"), { transport: "ticket-file", file: "-", at: undefined });
  assertEquals(destinationOf("--ticket-file /t"), {
    ...{ transport: "ticket-file", file: "/t", at: undefined },
  });
  assertEquals(destinationOf("--ticket-file /t vmferry://h:1"), {
    ...{ transport: "ticket-file", file: "/t", at: { host: "h", port: 1 } },
  });
});

Deno.test("what is wrong with a ticket is said without it", () => {
  for (const text of [TICKET.slice(1), TICKET + "A", TICKET.replace("A", "+")]) {
    const error = assertThrows(() => parse(`migrate --qmp /q vmferry://h:1/${text}`), UsageError);
    assert(!error.message.includes("AAAA"), error.message);
  }
});

Deno.test("ssh:// names a host, and what runs there is put together", () => {
  const command = parse(
    "migrate --qmp /q --remote-qmp /r --ssh-option Port=7 ssh://root@[fe80::1]:22 -- --disk a=b",
  );
  assert(command.command === "migrate");
  assertEquals(command.destination, {
    ...{ transport: "ssh", user: "root", host: "fe80::1", port: 22 },
  });
  assertEquals(command.transportFlags, { "ssh-option": ["Port=7"] });
  assertEquals(command.peerArgs, [
    ...["receive", "--stdio", "--quiet", "--qmp", "/r", "--disk", "a=b"],
  ]);
  const resumed = parse("migrate --qmp /q --remote-qmp /r --resume ssh://h");
  assert(resumed.command === "migrate");
  assertEquals(resumed.peerArgs, ["receive", "--stdio", "--quiet", "--qmp", "/r", "--resume"]);
});

Deno.test("a socket's owner is a user's name or number, with a group's or the user's own", async () => {
  const users: Readonly<Record<string, readonly [number, number]>> = {
    ...{ root: [0, 0], qemu: [107, 36], "107": [107, 36] },
  };
  const groups: Readonly<Record<string, number>> = { root: 0, kvm: 36 };
  const ask = (what: string, name: string) =>
    Promise.resolve(what === "group" ? groups[name] : users[name]?.[what === "user" ? 0 : 1]);
  const owner = async (text: string) => Object.values(await findOwner(text, ask));
  assertEquals(await owner("qemu"), [107, 36]);
  assertEquals(await owner("107"), [107, 36]);
  assertEquals(await owner("qemu:root"), [107, 0]);
  assertEquals(await owner("5000:6000"), [5000, 6000]);
  for (const wrong of ["nobody", "qemu:nogroup", "5000", "", "qemu:", "a:b:c"]) {
    await assertRejects(() => owner(wrong), UsageError, "--socket-owner");
  }
});
