import { ProgramError, type ProgramOptions, type RunProgram } from "../../src/host/mod.ts";
import { unbatched } from "./unbatched.ts";

/** Answers of programs by their arguments, joined by spaces; a virsh without its URI. */
export interface FakeAnswers {
  readonly [command: string]: string | { readonly code: number; readonly stderr: string };
}

/**
 * Programs that answer from a table; `calls` has every call in order, and `started` every program,
 * which may run several calls of virsh. A missing answer is a missing
 * program.
 */
export class FakeProgram {
  readonly calls: { readonly argv: readonly string[]; readonly options: ProgramOptions }[] = [];
  readonly started: (readonly string[])[] = [];
  readonly #answers: FakeAnswers;

  constructor(answers: FakeAnswers) {
    this.#answers = answers;
  }

  readonly run: RunProgram = (argv, options) => {
    this.started.push(argv);
    return this.#runAll(argv, options);
  };

  readonly #runAll: RunProgram = unbatched((argv, options) => {
    this.calls.push({ argv, options });
    const words = argv[1] === "--quiet" ? argv.slice(4) : argv;
    const answer = this.#answers[words.join(" ")];
    if (answer === undefined) {
      return Promise.reject(new ProgramError("not-found", `no answer to ${words.join(" ")}`));
    }
    return Promise.resolve(
      typeof answer === "string"
        ? { code: 0, stdout: answer, stderr: "" }
        : { stdout: "", ...answer },
    );
  });
}
