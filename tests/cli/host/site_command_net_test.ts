import { assertEquals, assertRejects } from "@std/assert";
import {
  runSiteCommand,
  SiteCommandError,
  type SiteCommandOptions,
} from "../../../src/cli/host/site/site_command.ts";

async function run(command: string, more: Partial<SiteCommandOptions> = {}): Promise<string[]> {
  const lines: string[] = [];
  const onLine = (line: string) => void lines.push(line);
  await runSiteCommand(command, { env: {}, timeoutMs: 20_000, onLine, ...more });
  return lines;
}

/** Whether a process is there that is no zombie. */
async function lives(pid: string): Promise<boolean> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => ") Z");
  return !/\) [ZX]/.test(stat);
}

Deno.test("a command is read by sh, and has the environment that it is given", async () => {
  const env = { VMFERRY_GUEST: 'a "b" $c' };
  assertEquals(await run('echo "got $VMFERRY_GUEST"; echo err >&2 | cat', { env }), [
    'got a "b" $c',
    "err",
  ]);
});

Deno.test("a command that fails is quoted with the last lines of its standard error", async () => {
  const script = "echo out; for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 3";
  const error = await assertRejects(() => run(script), SiteCommandError);
  assertEquals(error.message, 'ended with 3: "line 3; line 4; line 5; line 6; line 7"');
  const killed = await assertRejects(() => run("kill -TERM $$"), SiteCommandError);
  assertEquals(killed.message, "was ended by SIGTERM");
  const missing = await assertRejects(() => run("/nowhere/hook"), SiteCommandError);
  assertEquals(/^ended with 127: ".*not found"$/.test(missing.message), true, missing.message);
});

Deno.test("a command that takes too long is killed with its children", async () => {
  const lines: string[] = [];
  const hang = "sleep 60 & echo $!; echo waits >&2; wait";
  const error = await assertRejects(
    () => run(hang, { timeoutMs: 2_000, onLine: (line) => void lines.push(line) }),
    SiteCommandError,
  );
  assertEquals(error.message, 'took longer than 2 s: "waits"');
  assertEquals(await lives(lines.find((line) => /^\d+$/.test(line))!), false);
});

Deno.test("a command is killed when its migration is over", async () => {
  const stop = new AbortController();
  const lines: string[] = [];
  const onLine = (line: string) => {
    lines.push(line);
    stop.abort(new Error("cancelled"));
  };
  const running = run("echo $$; sleep 60", { signal: stop.signal, onLine });
  await assertRejects(() => running, Error, "cancelled");
  assertEquals(await lives(lines[0]!), false);
});

Deno.test("a process that a command leaves behind is not waited for, and lives on", async () => {
  const [pid] = await run("sleep 60 & echo $!");
  assertEquals(await lives(pid!), true);
  await new Deno.Command("kill", { args: [pid!] }).output();
});
