/** The command line is wrong: exit 2. The message names the flag, what was got, what was expected. */
export class UsageError extends Error {
  override name = "UsageError";
}
