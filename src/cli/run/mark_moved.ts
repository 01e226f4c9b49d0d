import { isKeptCommandOf, type LeftGuest, MOVED } from "../../launch/mod.ts";

/**
 * Marks the command line that an earlier launch has kept on this host for a guest that has now left it:
 * neither `start.sh` nor the unit at boot starts the old copy then.
 *
 * @param stateDir the directory with a directory for each guest; may be missing.
 * @param text what `start.sh` prints instead.
 * @returns the files that were made.
 * @throws {Error} when a directory cannot be read or the file not be written.
 */
export async function markMoved(
  stateDir: string,
  guest: LeftGuest,
  text: string,
): Promise<string[]> {
  const marked: string[] = [];
  for (const directory of await directoriesIn(stateDir)) {
    const kept = await Deno.readTextFile(`${directory}/command.json`).catch(() => undefined);
    if (kept === undefined || !isKeptCommandOf(kept, guest)) continue;
    const path = `${directory}/${MOVED}`;
    await Deno.writeTextFile(path, `${text}\n`, { mode: 0o600 });
    marked.push(path);
  }
  return marked;
}

async function directoriesIn(path: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(path));
    return entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => `${path}/${name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
