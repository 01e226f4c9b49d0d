import { type AskOptions, Virsh } from "./virsh.ts";

/**
 * A virsh that asks no question twice, for the short time of a preparation. A question that failed is
 * asked again.
 */
export class RememberingVirsh extends Virsh {
  readonly #answers = new Map<string, Promise<string>>();

  /** {@inheritDoc Virsh.ask} */
  override ask(args: readonly string[], options: AskOptions = {}): Promise<string> {
    const question = JSON.stringify(args);
    const known = this.#answers.get(question);
    if (known) return known;
    const answer = super.ask(args, options);
    this.#answers.set(question, answer);
    answer.catch(() => this.#answers.delete(question));
    return answer;
  }
}
