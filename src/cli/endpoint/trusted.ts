/**
 * Whose files count: this user's own and root's. What another user can write to, or put in the place of
 * what is there, decides nothing here.
 *
 * @module
 */

/** Whether a file of that user is this user's own or root's. */
export function isOurs({ uid }: Pick<Deno.FileInfo, "uid">): boolean {
  return uid === null || uid === 0 || uid === Deno.uid();
}

/** A file's mode as chmod takes it. */
export function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
