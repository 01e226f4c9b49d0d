import { assertEquals } from "@std/assert";
import { FLAGS } from "../../../src/cli/help/flags.ts";
import { aboutRun } from "../../../src/cli/report/about.ts";

const TICKET = "B".repeat(80);

Deno.test("the settings of a report are the flags and arguments that were given", () => {
  const args = ["migrate", "--qmp", "/q", "--verify", "--disk", "a", "--disk", "b", "tcp://h:1"];
  assertEquals(aboutRun(args, "here"), {
    ...{ command: "migrate", side: "source", host: "here" },
    settings: [
      { name: "argument", value: "tcp://h:1" },
      { name: "--qmp", value: "/q" },
      { name: "--verify", value: "" },
      { name: "--disk", value: "a" },
      { name: "--disk", value: "b" },
    ],
  });
});

Deno.test("no ticket is in the settings of a report", () => {
  const about = aboutRun(["migrate", "--qmp", "/q", `vmferry://h:1/${TICKET}`], null);
  assertEquals(JSON.stringify(about).includes("BBBB"), false);
});

Deno.test("the text of commands and of another host's command line is not in a report", () => {
  const commands = FLAGS.filter(({ value }) => value === "COMMAND");
  assertEquals(commands.length > 5, true);
  for (const { name, commands: [command] } of commands) {
    const about = aboutRun([command!, `--${name}`, "curl -u me:hush", "x", "--", "hush"], null);
    assertEquals(JSON.stringify(about).includes("hush"), false, name);
    assertEquals(about!.settings.find((one) => one.name === `--${name}`)!.value, "(given)");
  }
});

Deno.test("a domain's options for libvirt are in the settings", () => {
  const { settings } = aboutRun(["domain", "vm1", "tcp://h:1", "--", "--postcopy"], null)!;
  assertEquals(settings.at(-1), { name: "--", value: "--postcopy" });
});

Deno.test("the destination is the end that receives", () => {
  assertEquals(aboutRun(["receive", "--qmp", "/q"], null)!.side, "destination");
  assertEquals(aboutRun(["--help"], null), undefined);
});
