import { assert, assertEquals } from "@std/assert";
import { ask } from "../../src/cli/control/client.ts";
import type { StatusEvent } from "../../src/cli/output/events.ts";
import { connectSsh } from "../../src/transport/ssh/ssh.ts";
import { WaitingQemu } from "../support/fake_destination.ts";
import { inDirectory } from "../support/in_directory.ts";
import { MAIN } from "../support/program.ts";

const PROGRAM = [Deno.execPath(), "run", "--quiet", "--no-prompt", "-A", MAIN];

/** A shell that starts a program with SIGHUP ignored, as nohup does. */
const NOHUP = 'trap "" HUP; exec sh DIR/bare';

/** Waits until `what` holds. */
async function until(what: () => boolean): Promise<void> {
  for (let i = 0; !what(); i++) {
    assert(i < 400, `${what} does not come true`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name);

/** A shell that forwards SIGHUP to its children, as interactive shells do. */
const hungUpBy = (words: string) => `${words} & trap 'kill -HUP $!' HUP; wait; wait $!`;

/**
 * Runs a `receive` that waits for its source, and ends it. It must remove its run directory.
 *
 * @param how starts it, by one of the shell scripts in DIR.
 * @param cut ends it.
 * @returns its exit code and, without a terminal, its output.
 */
async function receiveAndCut(
  how: readonly string[],
  cut: (child: Deno.ChildProcess, base: string) => Promise<void> | void,
): Promise<{ code: number; said: string }> {
  const ended = { code: -1, said: "" };
  await inDirectory(async (dir) => {
    const [base, log, code] = [`${dir}/runs`, `${dir}/log`, `${dir}/code`];
    await Deno.mkdir(base, { mode: 0o700 });
    using qmp = Deno.listen({ transport: "unix", path: `${dir}/qmp` });
    const accepted = qmp.accept();
    const listen = ["--listen", `unix://${dir}/listen`, "--run-dir", base];
    const words = [...PROGRAM, "receive", "--qmp", `${dir}/qmp`, ...listen].join(" ");
    await Deno.writeTextFile(`${dir}/terminal`, `${hungUpBy(words)}\necho $? >${code}\n`);
    await Deno.writeTextFile(`${dir}/bare`, `exec ${words} 2>${log}\n`);
    const [program, ...args] = how.map((word) => word.replaceAll("DIR", dir));
    const child = new Deno.Command(program!, {
      ...{ args, stdin: "null", stdout: "null", stderr: "null" },
    }).spawn();
    using conn = await accepted;
    new WaitingQemu(conn);
    await until(() => namesIn(base).some((r) => namesIn(`${base}/${r}`).includes("control.sock")));
    await cut(child, base);
    ended.code = (await child.status).code;
    await until(() => namesIn(base).length === 0);
    if (program === "sh") return void (ended.said = await Deno.readTextFile(log));
    const written = () =>
      namesIn(dir).includes("code") && Deno.readTextFileSync(code).endsWith("\n");
    await until(written);
    ended.code = Number(await Deno.readTextFile(code));
  });
  return ended;
}

Deno.test("a terminal that is closed ends a migration as Ctrl-C does: it is undone, exit 5", async () => {
  const { code, said } = await receiveAndCut(["sh", "DIR/bare"], (child) => {
    child.kill("SIGHUP");
    child.kill("SIGHUP");
  });
  assertEquals(code, 5);
  assert(said.includes("Cancelled by SIGHUP"), said);
});

Deno.test("a terminal that is gone ends a migration although nothing can be printed", async () => {
  const { code } = await receiveAndCut(
    ["script", "-qfc", "sh DIR/terminal", "/dev/null"],
    (child) => {
      // The terminal goes with the process that has its other end.
      child.kill("SIGKILL");
    },
  );
  assertEquals(code, 5);
});

Deno.test("a program that nohup started keeps running when its terminal is closed", async () => {
  const endings: unknown[] = [];
  const { code, said } = await receiveAndCut(["sh", "-c", NOHUP], async (child, base) => {
    child.kill("SIGHUP");
    // The signal comes before these requests, so that the program has seen it when it answers.
    for (let i = 0; i < 2; i++) {
      const socket = `${base}/${namesIn(base)[0]}/control.sock`;
      endings.push((await ask(socket, { command: "status" }, 10_000) as StatusEvent).ending);
    }
    child.kill("SIGTERM");
  });
  assertEquals([code, endings], [5, [null, null]]);
  assert(said.includes("Cancelled by SIGTERM"), said);
});

Deno.test("ssh survives Ctrl-C and a closed terminal, because a migration needs it", async () => {
  await inDirectory(async (dir) => {
    const script = "#!/bin/sh\nkill -INT $$\nkill -HUP $$\necho goes on >&2\nexit 1\n";
    await Deno.writeTextFile(`${dir}/ssh`, script, { mode: 0o755 });
    const path = Deno.env.get("PATH")!;
    Deno.env.set("PATH", `${dir}:${path}`);
    const lines: string[] = [];
    try {
      const pipe = connectSsh({
        ...{ host: "h", user: undefined, port: undefined, options: [], command: "c", args: [] },
        preface: { bytes: Uint8Array.of(1), maxBanner: 100 },
        onLine: (line) => lines.push(line),
      });
      await pipe.read(new Uint8Array(1)).catch(() => {});
      pipe.close();
    } finally {
      Deno.env.set("PATH", path);
    }
    assertEquals(lines, ["goes on"]);
  });
});
