/**
 * Runs a program. It may need root, as the tests that use it do.
 *
 * @throws {Error} with its output, when it fails.
 */
export async function sh(program: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(program, { args, stderr: "piped" }).output();
  if (code !== 0) {
    throw new Error(`${program} (as root): ${new TextDecoder().decode(stderr).trim()}`);
  }
}
