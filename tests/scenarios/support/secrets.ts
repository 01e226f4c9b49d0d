import type { Vmferry } from "./vmferry.ts";

/**
 * Where a secret can be seen that must not be: arguments and environment of every process of the
 * host, and all that the vmferrys printed.
 *
 * @returns each place as text, without the secret.
 */
export async function secretsSeen(
  secrets: readonly string[],
  ferries: readonly Vmferry[],
): Promise<string[]> {
  const seen: string[] = [];
  const look = (text: string, where: string) => {
    if (secrets.some((secret) => text.includes(secret))) seen.push(where);
  };
  for (const { name: pid } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    for (const file of ["cmdline", "environ"]) {
      // It may have ended meanwhile.
      const text = await Deno.readTextFile(`/proc/${pid}/${file}`).catch(() => "");
      look(text, `/proc/${pid}/${file}`);
    }
  }
  for (const ferry of ferries) {
    look(ferry.stderr, `${ferry.name}'s stderr`);
    look(JSON.stringify(ferry.events.entries), `${ferry.name}'s events`);
    look(ferry.strayLines.join("\n"), `${ferry.name}'s stdout`);
  }
  return seen;
}
