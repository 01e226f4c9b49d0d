/** Throws a TypeError without candidates; the first of those that are equally close. */
export function closestString(
  givenWord: string,
  possibleWords: readonly string[],
  options?: { caseSensitive?: boolean },
): string;
