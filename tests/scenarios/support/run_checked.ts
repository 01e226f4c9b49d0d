import { runProgram } from "../../../src/cli/host/run_program.ts";

/** Runs a program that must succeed. */
export async function run(argv: readonly string[]): Promise<void> {
  const { code, stderr } = await runProgram(argv, { timeoutMs: 30_000 });
  if (code !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
}
