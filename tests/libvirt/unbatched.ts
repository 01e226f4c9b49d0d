import type { ProgramOptions, ProgramResult, RunProgram } from "../../src/host/mod.ts";

/**
 * A virsh that takes a list of commands in one argument, as the real one does: it runs each, whatever
 * became of those before, and ends with the exit code of the last one.
 *
 * @param run runs one command.
 */
export function unbatched(run: RunProgram): RunProgram {
  return async (argv, options: ProgramOptions) => {
    const [list] = argv.slice(argv.indexOf("--connect") + 2);
    if (argv[0] !== "virsh" || !argv.includes("--connect") || argv.length !== 5) {
      return await run(argv, options);
    }
    const commands = commandsOf(list!);
    if (commands.length === 1) return await run([...argv.slice(0, 4), ...commands[0]!], options);
    let all: ProgramResult = { code: 0, stdout: "", stderr: "" };
    for (const words of commands) {
      const { code, stdout, stderr } = words[0] === "echo"
        ? { code: 0, stdout: words.slice(1).join(" "), stderr: "" }
        : await run([...argv.slice(0, 4), ...words], options);
      all = { code, stdout: all.stdout + stdout, stderr: all.stderr + stderr };
    }
    return all;
  };
}

/** virsh's own reading of such a list (vshCommandStringGetArg), without comments and double quotes. */
function commandsOf(list: string): string[][] {
  const commands: string[][] = [[]];
  let word: string | undefined;
  let isQuoted = false;
  for (let at = 0; at < list.length; at++) {
    const character = list[at]!;
    if (character === "'") {
      isQuoted = !isQuoted;
      word ??= "";
    } else if (isQuoted) word += character;
    else if (character === "\\") word = (word ?? "") + list[++at];
    else if (" ;\n\t".includes(character)) {
      if (word !== undefined) commands.at(-1)!.push(word);
      word = undefined;
      if (";\n".includes(character)) commands.push([]);
    } else word = (word ?? "") + character;
  }
  if (word !== undefined) commands.at(-1)!.push(word);
  return commands.filter((words) => words.length > 0);
}
