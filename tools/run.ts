/**
 * Running other programs from the tools.
 *
 * @module
 */

/** A path in the project. */
export function project(path: string): string {
  return new URL(`../${path}`, import.meta.url).pathname;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly timeoutMs?: number;
}

/**
 * Runs a program to its end.
 *
 * @returns its standard output.
 * @throws {Error} with its output when it fails.
 */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(options.cwd ? { cwd: options.cwd } : {}),
    ...(options.env ? { env: options.env } : {}),
    ...(options.timeoutMs ? { signal: AbortSignal.timeout(options.timeoutMs) } : {}),
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (code !== 0) {
    throw new Error(
      `${program} ${args[0] ?? ""} ended with ${code}: ${text(stderr)}${text(stdout)}`,
    );
  }
  return text(stdout);
}

/** Runs the Deno that runs this. */
export async function deno(args: readonly string[], options: RunOptions = {}): Promise<string> {
  return await run(Deno.execPath(), args, { ...options, env: { NO_COLOR: "1", ...options.env } });
}
