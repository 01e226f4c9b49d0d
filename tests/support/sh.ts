/**
 * Runs a program, as root where it needs to be.
 *
 * @throws {Error} with what it said, when it fails.
 */
export async function sh(program: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(program, { args, stderr: "piped" }).output();
  if (code !== 0) {
    throw new Error(`${program} (as root): ${new TextDecoder().decode(stderr).trim()}`);
  }
}
