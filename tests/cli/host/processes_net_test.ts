import { assertEquals, assertMatch } from "@std/assert";
import { parseProcesses, ProcessMarks } from "../../../src/cli/host/processes.ts";
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

Deno.test("a mark is made of a process's own number and its start, whatever its name is", async () => {
  const [named, odd, elsewhere, later] = await parseProcesses([
    `17\t17\t17 (vmferry) ${STAT}\tvmferry check --qmp /q`,
    `17\t17\t17 (a) (b c) ${STAT}\t`,
    `900\t17\t900 (vmferry) ${STAT}\t`,
    `17\t17\t17 (vmferry) ${STAT.replace("4711", "4712")}\t`,
    "18\t18\t18 (cut",
  ].join("\n"));
  assertEquals([odd!.mark, elsewhere!.mark], [named!.mark, named!.mark]);
  assertEquals(later!.mark === named!.mark, false);
  assertEquals(named!.args, "vmferry check --qmp /q");
});

Deno.test("a process that has ended counts as none while nobody asks for its exit code", async () => {
  const ended = (state: string) => `17\t17\t17 (vmferry) ${STAT.replace("S", state)}\t`;
  assertEquals((await parseProcesses(ended("T"))).length, 1);
  assertEquals(await parseProcesses([ended("Z"), ended("X")].join("\n")), []);
});
