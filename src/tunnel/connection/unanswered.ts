/** The system's words for an address at which nobody answers, as Deno and `node:net` give them. */
const NOBODY: readonly unknown[] = [
  ...["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"],
  // A UNIX socket that is not there.
  "ENOENT",
];

/** Whether a connection did not come about because nobody answers at its address. */
export function isUnanswered(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (NOBODY.includes((cause as { code?: unknown }).code)) return true;
  }
  return false;
}
