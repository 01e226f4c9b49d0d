import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { DeadlineError } from "../../src/io/mod.ts";
import { Virsh, VirshError } from "../../src/libvirt/mod.ts";
import { batches, joinCommands, quoteWord, splitAnswers } from "../../src/libvirt/batch.ts";
import { type FakeAnswers, FakeProgram } from "./fake_program.ts";

const URI = "qemu:///system";

function fake(answers: FakeAnswers): { program: FakeProgram; virsh: Virsh } {
  const program = new FakeProgram(answers);
  return { program, virsh: new Virsh({ run: program.run, uri: URI }) };
}

Deno.test("questions of one turn share one virsh, and each gets its own answer", async () => {
  const { program, virsh } = fake({
    "list --uuid": "a\n",
    "pool-list --name": "",
    "version": "v\n",
  });
  const answers = await Promise.all([
    virsh.ask(["list", "--uuid"], { timeoutMs: 5 }),
    virsh.ask(["pool-list", "--name"], { timeoutMs: 9 }),
    virsh.ask(["version"], { timeoutMs: 7 }),
  ]);
  assertEquals(answers, ["a\n", "", "v\n"]);
  assertEquals(program.started.length, 1);
  assertEquals(program.calls.map(({ options }) => options.timeoutMs), [9, 9, 9]);
});

Deno.test("a question alone is a command as it is", async () => {
  const { program, virsh } = fake({ "domid --domain a b": "7\n" });
  assertEquals(await virsh.ask(["domid", "--domain", "a b"]), "7\n");
  assertEquals(program.started, [[
    "virsh",
    "--quiet",
    "--connect",
    URI,
    "domid",
    "--domain",
    "a b",
  ]]);
});

Deno.test("texts of users are words of their command, whatever they contain", async () => {
  const nasty = [
    "a; list",
    "it's",
    '"',
    "\\",
    "#x",
    "",
    "a\nlist",
    "$(id)",
    "--all",
    "größe 🙂",
    "\\'; x",
  ];
  const answers = Object.fromEntries(nasty.map((text) => [`domid --domain ${text}`, `<${text}>`]));
  const { program, virsh } = fake(answers);
  const found = await Promise.all(nasty.map((text) => virsh.ask(["domid", "--domain", text])));
  assertEquals(found, nasty.map((text) => `<${text}>`));
  assertEquals(program.started.length, 1);
});

Deno.test("a command that fails in a batch fails alone, with its own error", async () => {
  const { program, virsh } = fake({
    "list": "a\n",
    "dumpxml --domain x": { code: 1, stderr: "error: failed to get domain 'x'\n" },
    "version": "v\n",
  });
  const [list, xml, version] = await Promise.allSettled([
    virsh.ask(["list"]),
    virsh.ask(["dumpxml", "--domain", "x"]),
    virsh.ask(["version"]),
  ]);
  assertEquals([list, version].map((one) => one.status === "fulfilled" && one.value), [
    "a\n",
    "v\n",
  ]);
  assert(xml.status === "rejected" && xml.reason instanceof VirshError);
  assertEquals([xml.reason.text, xml.reason.args[0]], ["failed to get domain 'x'", "dumpxml"]);
  // The batch, and each alone.
  assertEquals(program.started.length, 4);
});

Deno.test("a deadline, an abort and a missing virsh hold for the whole batch", async () => {
  for (const reason of [new DeadlineError("late"), new Error("cancelled")]) {
    let count = 0;
    const run = () => Promise.reject((count++, reason));
    const virsh = new Virsh({ run, uri: URI });
    const asked = [virsh.ask(["list"]), virsh.ask(["version"])];
    for (const one of await Promise.allSettled(asked)) {
      assertStrictEquals(one.status === "rejected" && one.reason, reason);
    }
    assertEquals(count, 1);
  }
  const { virsh } = fake({});
  const [first, second] = [virsh.ask(["list"]), virsh.ask(["version"])];
  second.catch(() => {});
  assertEquals((await assertRejects(() => first, VirshError)).failure, "not-found");
});

Deno.test("questions with different signals do not share a virsh", async () => {
  const { program, virsh } = fake({ list: "a\n", version: "v\n" });
  const { signal } = new AbortController();
  await Promise.all([virsh.ask(["list"], { signal }), virsh.ask(["version"])]);
  assertEquals(program.started.length, 2);
});

Deno.test("an answer without its mark, or with somebody's words on standard error, does not count", () => {
  const stdout = "a\n\nMARK\nb\n\nMARK\n";
  assertEquals(splitAnswers({ code: 0, stdout, stderr: "\n" }, 2, "MARK"), ["a\n", "b\n"]);
  const bad = [
    { code: 1, stdout, stderr: "" },
    { code: 0, stdout, stderr: "error: no domain\n" },
    { code: 0, stdout: "a\n\nMARK\nb\n", stderr: "" },
    { code: 0, stdout: `${stdout}c`, stderr: "" },
    { code: 0, stdout: `${stdout}c\n\nMARK\n`, stderr: "" },
  ];
  for (const result of bad) assertEquals(splitAnswers(result, 2, "MARK"), undefined);
});

Deno.test("plain words stay readable in a batch", () => {
  assertEquals(
    joinCommands([["list", "--all"], ["domid", "--domain", "a b"]], "M"),
    "list --all; echo '\nM\n'; domid --domain 'a b'; echo '\nM\n'",
  );
  assertEquals(quoteWord(""), "''");
});

Deno.test("a batch is bounded in commands and in characters", () => {
  const asked = Array.from({ length: 70 }, (_, i) => ({ args: ["dumpxml", `${i}`] }));
  const found = batches(asked);
  assertEquals(found.map((batch) => batch.length), [32, 32, 6]);
  assertEquals(found.flat(), asked);
  const long = Array.from({ length: 3 }, () => ({ args: ["x".repeat(9000)] }));
  assertEquals(batches(long).map((batch) => batch.length), [1, 1, 1]);
  assertEquals(batches([]), []);
});
