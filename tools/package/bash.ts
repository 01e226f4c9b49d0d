/**
 * Completions for bash. They need nothing of the package bash-completion. Pure.
 *
 * @module
 */
import { COMMANDS } from "../../src/cli/help/flag.ts";
import { flagsOf } from "../../src/cli/help/flags.ts";
import { operandOf, OTHER_FIRST, SCHEMES, type Value, valueOf } from "./words.ts";

/** The script that bash reads. */
export function bashCompletion(): string {
  const first = [...COMMANDS, ...OTHER_FIRST.map(([word]) => word)];
  return `# Completions of vmferry for bash, generated from its table of flags.

_vmferry_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
  # A word that a value or an address follows gets no space behind it.
  case \${COMPREPLY[0]-} in
  *= | *://) compopt -o nospace 2>/dev/null ;;
  esac
}

_vmferry_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

# The value of a flag, or fails where the flag takes none.
_vmferry_value() {
  case $1 in
${
    COMMANDS.flatMap((command) =>
      flagsOf(command).flatMap((flag) => {
        const value = valueOf(flag);
        return value ? [`  "${command} --${flag.name}") ${action(value)} ;;`] : [];
      })
    ).join("\n")
  }
  *) return 1 ;;
  esac
}

_vmferry() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command=\${COMP_WORDS[1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _vmferry_words "${first.join(" ")}"
    return
  fi
  # bash splits --flag=value at the sign.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  _vmferry_value "$command $prev" && return
  case $command in
${
    COMMANDS.map((command) => {
      const flags = [...flagsOf(command).map(({ name }) => `--${name}`), "--help"].join(" ");
      return `  ${command})
    if [[ $cur == -* ]]; then
      _vmferry_words "${flags}"
    else
      ${operand(command)}
    fi
    ;;`;
    }).join("\n")
  }
  help) _vmferry_words "${COMMANDS.join(" ")}" ;;
  esac
}

complete -F _vmferry vmferry
`;
}

function action(value: Value): string {
  switch (value.kind) {
    case "words":
      return `_vmferry_words "${value.words.join(" ")}"`;
    case "directories":
      return "_vmferry_files -d";
    case "files":
      return "_vmferry_files -f";
    case "commands":
      return "_vmferry_files -c";
    case "any":
      return ":";
  }
}

function operand(command: (typeof COMMANDS)[number]): string {
  const kind = operandOf(command);
  if (kind === "files") return `_vmferry_files -f`;
  if (kind === "address" || kind === "name") {
    const words = command === "check" ? ["domain", ...SCHEMES] : SCHEMES;
    return `_vmferry_words "${words.join(" ")}"`;
  }
  return kind ? settings(kind) : ":";
}

/** Words such as `name=value`, of which bash sees the value alone once the sign is there. */
function settings(words: readonly string[]): string {
  const byName = Map.groupBy(
    words.filter((word) => !word.endsWith("=")),
    (word) => word.split("=")[0]!,
  );
  const cases = [...byName].map(([name, all]) =>
    `${name}) _vmferry_words "${all.map((word) => word.slice(name.length + 1)).join(" ")}" ;;`
  );
  return `case $prev in
      ${cases.join("\n      ")}
      *) _vmferry_words "${
    [...new Set(words.map((word) => `${word.split("=")[0]}=`))].join(" ")
  }" ;;
      esac`;
}
