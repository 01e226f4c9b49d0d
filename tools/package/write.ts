/**
 * Writes the manual pages and the shells' completions to `dist/share` (`make man`; `make build`, too).
 *
 * @module
 */
import { project } from "../run.ts";
import { bashCompletion } from "./bash.ts";
import { releaseDate } from "./changelog.ts";
import { fishCompletion } from "./fish.ts";
import { manPages } from "./man.ts";
import { zshCompletion } from "./zsh.ts";

const SHARE = project("dist/share");

const files: readonly (readonly [string, string])[] = [
  ...manPages(releaseDate()).map(({ file, text }) => [`man/man1/${file}`, text] as const),
  ["bash-completion/completions/vmferry", bashCompletion()],
  ["zsh/site-functions/_vmferry", zshCompletion()],
  ["fish/vendor_completions.d/vmferry.fish", fishCompletion()],
];

await Deno.remove(SHARE, { recursive: true }).catch(() => {});
for (const [path, text] of files) {
  const full = `${SHARE}/${path}`;
  await Deno.mkdir(full.slice(0, full.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(full, text);
}
console.log(`dist/share: ${files.length - 3} manual pages, completions for bash, zsh and fish`);
