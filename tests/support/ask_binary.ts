/**
 * Questions to a QEMU binary, without a machine.
 *
 * @module
 */
import { TextLineStream } from "@std/streams/text-line-stream";

/** Starts `binary`, executes QMP commands without arguments and returns their answers by name. */
export async function askBinary(
  binary: string,
  commands: readonly string[],
): Promise<ReadonlyMap<string, unknown>> {
  await using qemu = new Deno.Command(binary, {
    args: ["-machine", "none", "-display", "none", "-nodefaults", "-qmp", "stdio"],
    ...{ stdin: "piped", stdout: "piped", stderr: "null" },
  }).spawn();
  const writer = qemu.stdin.getWriter();
  const execute = (command: string) =>
    writer.write(new TextEncoder().encode(`{"execute":"${command}","id":"${command}"}\n`));
  for (const command of ["qmp_capabilities", ...commands]) await execute(command);
  const answers = new Map<string, unknown>();
  const lines = qemu.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of lines) {
    const { id, return: answer } = JSON.parse(line) as { id?: string; return?: unknown };
    if (id !== undefined) answers.set(id, answer);
    // Only now: a QEMU that quits drops the rest of its answers.
    if (id === commands.at(-1)) await execute("quit");
  }
  await writer.close().catch(() => {});
  const missing = commands.filter((command) => !answers.has(command));
  if (missing.length > 0) throw new Error(`${binary} did not answer ${missing.join(", ")}`);
  return answers;
}
