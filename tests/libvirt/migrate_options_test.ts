import { assert, assertEquals, assertThrows } from "@std/assert";
import { MigrateOptionError, parseMigrateOptions } from "../../src/libvirt/mod.ts";

const parse = (text: string) => parseMigrateOptions(text === "" ? [] : text.split(" "));

Deno.test("without options all disks are copied and nothing is passed on", () => {
  assertEquals(parse(""), {
    pass: [],
    copy: "all",
    migrateDisks: null,
    persistent: false,
    undefineSource: false,
    suspend: false,
    destinationName: null,
    xmlFile: null,
    persistentXmlFile: null,
    postcopy: false,
    parallel: false,
    tls: false,
  });
});

Deno.test("options that vmferry sets by itself are accepted and not passed on", () => {
  assertEquals(parse("--live --verbose --copy-storage-all").pass, []);
  const options = parse("--copy-storage-inc --migrate-disks vda,vdb");
  assertEquals([options.pass, options.copy], [[], "inc"]);
  assertEquals(options.migrateDisks, ["vda", "vdb"]);
});

Deno.test("options with a meaning for vmferry are read and passed on", () => {
  const options = parse(
    "--persistent --undefinesource --suspend --dname vm2 --xml=/a.xml --persistent-xml /b.xml " +
      "--postcopy --postcopy-after-precopy --parallel --parallel-connections 4 --tls --tls-destination h2",
  );
  assertEquals(options, {
    pass: [
      "--persistent",
      "--undefinesource",
      "--suspend",
      "--dname=vm2",
      "--xml=/a.xml",
      "--persistent-xml=/b.xml",
      "--postcopy",
      "--postcopy-after-precopy",
      "--parallel",
      "--parallel-connections=4",
      "--tls",
      "--tls-destination=h2",
    ],
    copy: "all",
    migrateDisks: null,
    persistent: true,
    undefineSource: true,
    suspend: true,
    destinationName: "vm2",
    xmlFile: "/a.xml",
    persistentXmlFile: "/b.xml",
    postcopy: true,
    parallel: true,
    tls: true,
  });
});

Deno.test("tuning options are passed on", () => {
  const text =
    "--auto-converge --auto-converge-initial=20 --auto-converge-increment=10 --compressed " +
    "--comp-methods=xbzrle --comp-xbzrle-cache=1048576 --unsafe --abort-on-error --change-protection " +
    "--graphicsuri=spice://h2 --copy-storage-synchronous-writes --postcopy --postcopy-bandwidth=10";
  assertEquals(parse(text).pass.join(" "), text);
});

Deno.test("a value may be any text", () => {
  assertEquals(parseMigrateOptions(["--dname", "two words"]).pass, ["--dname=two words"]);
  assertEquals(parseMigrateOptions(["--dname=--x=y\nz"]).pass, ["--dname=--x=y\nz"]);
  assertEquals(parseMigrateOptions(["--dname", "-x"]).pass, ["--dname=-x"]);
});

Deno.test("options that cannot work through the connection are refused with the option", () => {
  for (
    const option of [
      ...["p2p", "direct", "tunnelled", "tunneled", "offline", "rdma-pin-all", "zerocopy"],
      ...["postcopy-resume", "domain", "desturi", "migrateuri", "disks-uri", "disks-port"],
      ...["listen-address", "bandwidth", "timeout", "timeout-suspend", "timeout-postcopy"],
    ]
  ) {
    for (const words of [[`--${option}`], [`--${option}`, "1"], [`--${option}=1`]]) {
      const error = assertThrows(() => parseMigrateOptions(words), MigrateOptionError);
      assertEquals(error.option, `--${option}`);
      assert(error.message.startsWith(`--${option} of virsh migrate is refused: `), error.message);
    }
  }
});

Deno.test("an unknown option goes on, with the word after it as its value", () => {
  assertEquals(parse("--new --newer 5 --persistent").pass, ["--new", "--newer=5", "--persistent"]);
  assertEquals(parse("--new=a").pass, ["--new=a"]);
  assertEquals(parse("--new=").pass, ["--new="]);
  assertEquals(parse("--constructor 5").pass, ["--constructor=5"]);
});

Deno.test("a word that belongs to no option is refused", () => {
  for (
    const words of [
      "qemu:///system",
      "--persistent vm2",
      "-x",
      "--",
      "--dname a b",
      "--new 1 2",
      "",
    ]
  ) {
    const args = words === "" ? [""] : words.split(" ");
    assertThrows(() => parseMigrateOptions(args), MigrateOptionError, "belongs to no option");
  }
});

Deno.test("a missing value, a value too many and an option given twice are refused", () => {
  const cases: readonly [string, string][] = [
    ["--dname", "--dname needs a value"],
    ["--dname=", "--dname needs a value"],
    ["--xml --persistent", "--xml needs a value"],
    ["--persistent=yes", '--persistent takes no value, but got "yes"'],
    ["--live=1", "--live takes no value"],
    ["--persistent --persistent", "--persistent is given twice"],
    ["--new 1 --new 2", "--new is given twice"],
    ["--copy-storage-all --copy-storage-inc", "exclude each other"],
  ];
  for (const [text, message] of cases) {
    assertThrows(() => parse(text), MigrateOptionError, message);
  }
});

Deno.test("an option that does nothing without another one is refused", () => {
  const cases = [
    "--tls",
    "--parallel-connections 2",
    "--postcopy-after-precopy",
    "--persistent-xml x",
  ];
  for (const text of cases) assertThrows(() => parse(text), MigrateOptionError, " needs --");
});
