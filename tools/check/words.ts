/**
 * Finds phrases that this project does not use, with the words to use instead: `tools/check/words.ts
 * [FILE…]`, without files over the whole project. Exits with 1 where it finds one.
 * docs/glossary.md says what each word means.
 *
 * @module
 */
import { project } from "../run.ts";

interface Rule {
  /** Looked for anywhere in a line, in any case. */
  readonly phrase: RegExp;
  readonly instead: string;
}

const rule = (phrase: string, instead: string): Rule => ({
  phrase: new RegExp(`\\b(?:${phrase})\\b`, "i"),
  instead,
});

/** Private words, and clauses that stand for a noun. */
export const RULES: readonly Rule[] = [
  rule("in step", 'of a mirror: "ready"'),
  rule("wh(?:at|ich) of (?:it|them|that|this)", '"the rest", "the part that …"'),
  rule("who(?:m|se)?ever", "its owner, the user, the next run"),
  rule("(?:comes?|came|coming) (?:to|of) (?:nothing|it)", '"fails", "gives up"'),
  rule("turn(?:s|ed|ing)? away", '"refuse", "reject"'),
  rule("take(?:s|n)? (?:it |this |them )?up(?: again)?|took (?:it )?up", '"resume", "continue"'),
  rule("take(?:s|n)? back|took back", '"undo"'),
  rule("let(?:s|ting)? (?:it |the guest |a guest )?(?:stand|run again|go on)", '"pause", "resume"'),
  rule("(?:is|are|was|were|be|been|being) told", '"vmferry reports …", or the active voice'),
  rule("stands? still", '"is paused", "does not run"'),
  rule("the memory(?:'s)?", '"RAM"'),
  rule("the link(?:'s)?", '"the connection"'),
  rule("the other one", '"the peer", "the destination"'),
  rule("in words", '"as text"'),
  rule("what becomes of|what became of", '"the outcome of"'),
  rule("good for (?:one|once)", '"single-use"'),
  rule("the authority|an authority|authorities", '"CA"'),
  rule("folders?", '"directory"'),
  rule("there and back", '"round trip"'),
  rule("over there", '"on the other host"'),
  rule("has the guest go on|guest goes on", '"the guest keeps running"'),
];

export interface Finding {
  /** From 1. */
  readonly line: number;
  readonly text: string;
  readonly instead: string;
}

/** What is wrong with a text, a line at a time; a phrase that is wrapped over two lines is not seen. */
export function findPhrases(text: string): Finding[] {
  return text.split("\n").flatMap((line, i) =>
    RULES.flatMap(({ phrase, instead }) => {
      const found = phrase.exec(line)?.[0];
      return found === undefined ? [] : [{ line: i + 1, text: found, instead }];
    })
  );
}

/** Files that may hold the phrases: the list itself, its test, and those still to be rewritten. */
function exceptions(): Set<string> {
  const list = Deno.readTextFileSync(project("tools/check/words_exceptions.txt"));
  return new Set(list.split("\n").filter((line) => line !== "" && !line.startsWith("#")));
}

function tracked(): string[] {
  const { stdout } = new Deno.Command(project("tools/check/files.sh"), {
    args: [".ts", ".md", ".sh", "Makefile"],
  }).outputSync();
  return new TextDecoder().decode(stdout).trim().split("\n");
}

if (import.meta.main) {
  const except = exceptions();
  const files = Deno.args.length > 0 ? Deno.args : tracked().filter((path) => !except.has(path));
  let count = 0;
  for (const path of files) {
    for (const { line, text, instead } of findPhrases(Deno.readTextFileSync(project(path)))) {
      count++;
      console.error(`${path}:${line}: "${text}": say ${instead}`);
    }
  }
  if (count > 0) console.error(`${count} phrases to rewrite; docs/glossary.md has the words`);
  Deno.exit(count > 0 ? 1 : 0);
}
