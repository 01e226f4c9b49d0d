/**
 * Asks a shell what it would complete a command line with, as a terminal does.
 *
 * @module
 */
import { project } from "../../../tools/run.ts";

/** The Debian packages that have the programs of these tests. */
const PACKAGES: Readonly<Record<string, string>> = {
  bash: "bash",
  zsh: "zsh",
  fish: "fish",
  mandoc: "mandoc",
  "systemd-analyze": "systemd",
};

/**
 * Runs a program that a Debian package has.
 *
 * @throws {Error} that names the package where the program is missing.
 */
export async function tool(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly output: string; readonly errors: string }> {
  const command = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    env: { TERM: "xterm", ...env },
    cwd: project(""),
    signal: AbortSignal.timeout(30_000),
  });
  const { code, stdout, stderr } = await command.output().catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `there is no ${program}: install the Debian package ${PACKAGES[program]}, ` +
        "or run tools/bootstrap.sh, which does",
    );
  });
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, output: text(stdout), errors: text(stderr) };
}

/** A shell: what it offers behind these words, of which the last one may be incomplete. */
export type Shell = (dir: string, words: readonly string[]) => Promise<string[]>;

/** The completions of bash, by its own machinery: the variables that it sets for a function of `complete`. */
const bash: Shell = async (dir, words) =>
  await ask("bash", [
    "--norc",
    "-c",
    `source "$1/vmferry.bash"
     shift
     [ "$(complete -p vmferry)" = "complete -F _vmferry vmferry" ] || exit 1
     COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
     _vmferry
     printf '%s\\n' "\${COMPREPLY[@]}"`,
    "test",
    dir,
    ...words,
  ]);

/** The completions of zsh: a terminal of its own, in which a tab is typed and `compadd` says what it gets. */
const zsh: Shell = async (dir, words) =>
  await ask("zsh", ["-f", "-c", ZSH, "test", dir, words.join(" ")]);

const ZSH = `
zmodload zsh/zpty
cd $1
zpty z zsh -f -i
zpty -w z "PROMPT= ; fpath=($1 \\$fpath); autoload -Uz compinit; compinit -u -d $1/.zcompdump"
zpty -w z 'compadd() {
  [[ " $* " = *" -O "* || " $* " = *" -A "* || " $* " = *" -D "* ]] && { builtin compadd "$@"; return }
  local -a __all
  builtin compadd -O __all "$@"
  print -rl -- "" "<"\${^__all}">"
  builtin compadd "$@"
}'
zpty -w z 'done-with() { print -r -- "the end"; exit }; comppostfuncs=(done-with); print re""ady'
while zpty -r z line && [[ $line != ready* ]]; do :; done
zpty -n -w z "$2"$'\\t'
while zpty -r z line; do
  line=\${line%%$'\\r'*}
  [[ $line = *"<"*">" ]] && { line=\${line##*"<"}; print -r -- "\${line%">"}"; }
  [[ $line = *"the end"* ]] && break
done
zpty -d z
`;

/** The completions of fish, by `complete -C`. */
const fish: Shell = async (dir, words) => {
  const home = `${dir}/.home`;
  const script = `source $argv[1]; complete -C $argv[2]`;
  const args = ["--no-config", "-c", script, `${dir}/vmferry.fish`, words.join(" ")];
  const lines = await ask("fish", args, { HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home });
  return lines.map((line) => line.split("\t")[0]!);
};

/** Every shell that has completions. */
export const SHELLS: Readonly<Record<string, Shell>> = { bash, zsh, fish };

async function ask(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const { code, output, errors } = await tool(program, args, env);
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${errors}${output}`);
  if (errors.trim() !== "") throw new Error(`${program} printed an error: ${errors}`);
  return output.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}
