/**
 * Completions for fish. Pure.
 *
 * @module
 */
import { SUMMARY } from "../../src/cli/help/about.ts";
import { type CommandName, COMMANDS, type Flag } from "../../src/cli/help/flag.ts";
import { flagsOf } from "../../src/cli/help/flags.ts";
import { firstSentence, operandOf, OTHER_FIRST, SCHEMES, valueOf } from "./words.ts";

/** The script that fish reads. */
export function fishCompletion(): string {
  return `# Completions of vmferry for fish, generated from its table of flags.

# Whether the command is this one; empty: whether there is none yet.
function __vmferry_command
    set -l words (commandline -opc)
    test "$words[2]" = "$argv[1]"
end

complete -c vmferry -f
${
    [...SUMMARY, ...OTHER_FIRST].map(([word, what]) =>
      `complete -c vmferry -n "__vmferry_command ''" -a ${quotedFish(word)} -d ${quotedFish(what)}`
    ).join("\n")
  }
complete -c vmferry -n "__vmferry_command help" -a ${quotedFish(COMMANDS.join(" "))}
${COMMANDS.flatMap(linesOf).join("\n")}
`;
}

function linesOf(command: CommandName): string[] {
  const begin = `complete -c vmferry -n "__vmferry_command ${command}"`;
  return [
    ...flagsOf(command).map((flag) =>
      `${begin} -l ${flag.name}${argument(flag)} -d ${quotedFish(firstSentence(flag.help))}`
    ),
    `${begin} -l help -d 'Print the help on this command'`,
    ...operand(command).map((words) => `${begin} ${words}`),
  ];
}

function argument(flag: Flag): string {
  const value = valueOf(flag);
  switch (value?.kind) {
    case undefined:
      return "";
    case "words":
      return ` -x -a ${quotedFish(value.words.join(" "))}`;
    case "directories":
      return " -x -a '(__fish_complete_directories)'";
    case "files":
      return " -r -F";
    case "commands":
      return " -x -a '(__fish_complete_command)'";
    case "any":
      return " -x";
  }
}

function operand(command: CommandName): string[] {
  const kind = operandOf(command);
  if (kind === undefined) return [];
  if (kind === "files") return ["-F"];
  if (kind === "address" || kind === "name") {
    const words = command === "check" ? ["domain", ...SCHEMES] : SCHEMES;
    return [`-a ${quotedFish(words.join(" "))}`];
  }
  return [`-a ${quotedFish(kind.join(" "))}`];
}

function quotedFish(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
