/** Letters to add, remove or change. */
export function levenshteinDistance(str1: string, str2: string): number;
