import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { runProgram, startProgram } from "../../../src/cli/host/run_program.ts";
import { DeadlineError } from "../../../src/io/mod.ts";
import { ProgramError } from "../../../src/host/mod.ts";

const LONG = { timeoutMs: 30_000 };
/** A script that says its process ID and then runs for a long time. */
const SLOW = ["sh", "-c", "echo $$ >&2; exec sleep 1000"];

function runs(pid: number): boolean {
  try {
    Deno.statSync(`/proc/${pid}`);
    return true;
  } catch {
    return false;
  }
}

Deno.test("a program gets its arguments as they are, its input, and the C locale", async () => {
  const script = 'printf "%s|" "$@" "$LC_ALL"; cat; echo ü >&2; exit 7';
  const argv = ["sh", "-c", script, "x", "a b", "", "$HOME", "'", "-n"];
  assertEquals(await runProgram(argv, { ...LONG, input: "größe\n" }), {
    code: 7,
    stdout: "a b||$HOME|'|-n|C|größe\n",
    stderr: "ü\n",
  });
});

Deno.test("a program without input reads nothing", async () => {
  assertEquals((await runProgram(["cat"], LONG)).stdout, "");
});

Deno.test("a program that does not read its input ends all the same", async () => {
  const input = "x".repeat(1 << 20);
  assertEquals((await runProgram(["true"], { ...LONG, input })).code, 0);
});

Deno.test("a program that this host does not have is an error of its own kind", async () => {
  const error = await assertRejects(() => runProgram(["no-such-program"], LONG), ProgramError);
  assertEquals(error.failure, "not-found");
  const directory = await assertRejects(() => runProgram(["/"], LONG), ProgramError);
  assertEquals(directory.failure, "failed");
});

Deno.test("a program that takes too long is dead when the error comes", async () => {
  const file = await Deno.makeTempFile();
  try {
    const argv = ["sh", "-c", 'echo $$ > "$1"; exec sleep 1000', "sh", file];
    await assertRejects(
      () => runProgram(argv, { timeoutMs: 2_000 }),
      DeadlineError,
      "a look at processes",
    );
    const pid = Number(await Deno.readTextFile(file));
    assert(pid > 0);
    assertEquals(runs(pid), false);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("what a program has started is dead, too, when it takes too long", async () => {
  const file = await Deno.makeTempFile();
  try {
    const argv = ["sh", "-c", 'sleep 1000 & echo $! >"$1"; wait', "sh", file];
    await assertRejects(
      () => runProgram(argv, { timeoutMs: 2_000 }),
      DeadlineError,
      "a look at processes",
    );
    const pid = Number(await Deno.readTextFile(file));
    assert(pid > 0);
    assertEquals(runs(pid), false);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("an abort kills the program and throws the signal's reason", async () => {
  const controller = new AbortController();
  const reason = new Error("cancelled");
  const running = assertRejects(() => runProgram(SLOW, { ...LONG, signal: controller.signal }));
  controller.abort(reason);
  assertStrictEquals(await running, reason);
  const late = await assertRejects(() => runProgram(SLOW, { ...LONG, signal: controller.signal }));
  assertStrictEquals(late, reason);
});

Deno.test("a program that prints without end is killed", async () => {
  await assertRejects(() => runProgram(["yes"], LONG), ProgramError, "more than 16 MiB");
});

Deno.test("a child that keeps the pipes open does not keep the caller waiting", async () => {
  const argv = ["sh", "-c", "sleep 20 & echo $!"];
  const { stdout } = await runProgram(argv, { timeoutMs: 10_000 });
  Deno.kill(Number(stdout), "SIGKILL");
});

Deno.test("a killed program is dead, with the exit code of its signal", async () => {
  const program = startProgram(SLOW);
  program.kill();
  const { code } = await program.ended;
  assertEquals(code, 137);
  program.kill();
});

Deno.test("a program that is started has a session of its own and ignores INT and HUP", async () => {
  const script = "cat /proc/self/status; cut -d ' ' -f 6 /proc/$$/stat; echo $$";
  const { stdout } = await startProgram(["sh", "-c", script]).ended;
  const ignored = BigInt(`0x${/^SigIgn:\s*([0-9a-f]+)$/m.exec(stdout)?.[1]}`);
  assertEquals(ignored & 0b11n, 0b11n);
  const [session, pid] = stdout.trim().split("\n").slice(-2);
  assertEquals(session, pid);
});

Deno.test("a started program that does not exist ends with 127", async () => {
  assertEquals((await startProgram(["no-such-program"]).ended).code, 127);
});
