/**
 * `path` from the root. Not by `resolve` of @std/path: it folds `..`, which behind a symbolic link is
 * another directory.
 */
export function absolutePath(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}

/** The path without links and dots where there is such a file, else {@link absolutePath}. */
export async function realPath(path: string): Promise<string> {
  const absolute = absolutePath(path);
  return await Deno.realPath(absolute).catch(() => absolute);
}
