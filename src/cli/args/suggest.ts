import { closestString } from "@std/text/closest-string";
import { levenshteinDistance } from "@std/text/levenshtein-distance";

/** The candidate that a mistyped word most likely means; `undefined` where none is close. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0) return undefined;
  const near = closestString(word, candidates, { caseSensitive: true });
  const most = Math.max(2, Math.floor(word.length / 3));
  return levenshteinDistance(word, near) <= most ? near : undefined;
}
