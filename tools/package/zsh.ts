/**
 * Completions for zsh, on its `_arguments`. Pure.
 *
 * @module
 */
import { SUMMARY } from "../../src/cli/help/about.ts";
import { type CommandName, COMMANDS, type Flag } from "../../src/cli/help/flag.ts";
import { flagsOf } from "../../src/cli/help/flags.ts";
import {
  firstSentence,
  operandOf,
  OTHER_FIRST,
  quoted,
  SCHEMES,
  type Value,
  valueOf,
} from "./words.ts";

/** The file `_vmferry`, which zsh loads as a function. */
export function zshCompletion(): string {
  return `#compdef vmferry
# Completions of vmferry for zsh, generated from its table of flags.

local curcontext=$curcontext state line
local -A opt_args
local -a commands

if ((CURRENT == 2)); then
  commands=(
${[...SUMMARY, ...OTHER_FIRST].map(([word, what]) => `    ${described(word, what)}`).join("\n")}
  )
  _describe command commands
  return
fi

local command=$words[2]
shift words
((CURRENT--))
case $command in
${COMMANDS.map(caseOf).join("\n")}
help) _values command ${COMMANDS.join(" ")} ;;
*) return 1 ;;
esac
`;
}

function described(word: string, what: string): string {
  return quoted(`${word.replaceAll(":", "\\:")}:${what.replaceAll(":", "\\:")}`);
}

function caseOf(command: CommandName): string {
  const specs = [
    ...flagsOf(command).map((flag) => spec(flag)),
    "'(- *)--help[print the help on this command]'",
    ...operand(command),
  ];
  return `${command})\n  _arguments -S \\\n${specs.map((s) => `    ${s}`).join(" \\\n")}\n  ;;`;
}

function spec(flag: Flag): string {
  const { name, value, many, help } = flag;
  const what = firstSentence(help).replace(/[[\]\\:]/g, "\\$&");
  const kind = valueOf(flag);
  const label = (value ?? "").replace(/[[\]\\:]/g, "\\$&");
  return quoted(
    `${many ? "*" : ""}--${name}${kind ? "=" : ""}[${what}]${
      kind ? `:${label}:${action(kind)}` : ""
    }`,
  );
}

function action(value: Value): string {
  switch (value.kind) {
    case "words":
      return list(value.words);
    case "directories":
      return "_files -/";
    case "files":
      return "_files";
    case "commands":
      return "_command_names -e";
    case "any":
      return " ";
  }
}

/** Words after which a value or the rest of an address follows get no space. */
function list(words: readonly string[]): string {
  const isOpen = words.some((word) => /(?:=|:\/\/)$/.test(word));
  if (!isOpen) return `(${words.join(" ")})`;
  return `{compadd -S "" -- ${words.join(" ").replaceAll(":", "\\:")}}`;
}

function operand(command: CommandName): string[] {
  const kind = operandOf(command);
  if (kind === undefined) return [];
  if (kind === "files") return ["'*:image:_files'"];
  if (kind === "address" || kind === "name") {
    const words = command === "check" ? ["domain", ...SCHEMES] : SCHEMES;
    return [quoted(`*:destination:${list(words)}`)];
  }
  return [quoted(`*:setting:${list(kind)}`)];
}
