import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { parseProcesses, ProcessMarks } from "../../../src/cli/host/processes.ts";
import { DeadlineError } from "../../../src/io/mod.ts";
import { runProgram } from "../../../src/cli/host/run_program.ts";

const STAT = "S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 9 9";

Deno.test("a process has a mark while it runs, and none after its end", async () => {
  const marks = new ProcessMarks(runProgram);
  const own = await marks.own();
  assertMatch(own, /^[0-9a-f]{8}$/);
  assertEquals(await new ProcessMarks(runProgram).own(), own);
  const found = await marks.running(new Set([own, "00000000"]));
  assertEquals([...found.keys()], [own]);
  assertMatch(found.get(own)!, new RegExp(`^vmferry (\\w+ )?\\(process ${Deno.pid}\\)$`));
});

Deno.test("where processes cannot be listed, none counts as ended", async () => {
  const marks = new ProcessMarks(() => Promise.reject(new DeadlineError("Waited 10 s for sh")));
  await assertRejects(() => marks.running(new Set(["00000000"])), DeadlineError, "Waited 10 s");
  assertMatch(await marks.own(), /^[0-9a-f]{8}$/);
  assertEquals(await marks.userOf("/q"), undefined);
});

/** The files of a process in /proc, as the script prints them. */
const files = (pid: number, own: number, stat: string, args?: string) =>
  [
    `${pid}/stat:${pid} ${stat}`,
    `${pid}/status:NSpid:\t${pid}\t${own}`,
    ...(args === undefined ? [] : [`${pid}/cmdline:${args}`]),
  ].join("\n");

Deno.test("a mark is made of a process's own number and its start, whatever its name is", async () => {
  const [named, odd, elsewhere, later] = await parseProcesses([
    files(17, 17, `(vmferry) ${STAT}`, "vmferry check --qmp /q"),
    files(18, 17, `(a) (b c) ${STAT}`),
    files(900, 17, `(two\n900/stat:lines) ${STAT}`),
    files(19, 17, `(vmferry) ${STAT.replace("4711", "4712")}`),
    "20/stat:20 (cut",
  ].join("\n"));
  assertEquals([odd!.mark, elsewhere!.mark], [named!.mark, named!.mark]);
  assertEquals(later!.mark === named!.mark, false);
  assertEquals(named!.args, "vmferry check --qmp /q");
});

Deno.test("a process of a kernel without PID namespaces has the number of its directory", async () => {
  const [bare] = await parseProcesses(`17/stat:17 (vmferry) ${STAT}`);
  const [same] = await parseProcesses(files(17, 17, `(vmferry) ${STAT}`));
  assertEquals(bare!.mark, same!.mark);
});

Deno.test("a process that has ended counts as none while nobody asks for its exit code", async () => {
  const ended = (state: string) => files(17, 17, `(vmferry) ${STAT.replace("S", state)}`);
  assertEquals((await parseProcesses(ended("T"))).length, 1);
  for (const state of ["Z", "X"]) assertEquals(await parseProcesses(ended(state)), []);
});
