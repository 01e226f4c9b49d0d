/**
 * A bounded amount of something, such as bytes or requests. Who asks for more than is left waits, in
 * the order of the calls.
 */
export class Budget {
  readonly #total: number;
  #left: number;
  #drained: (() => void)[] = [];
  #waiting: { readonly amount: number; readonly resolve: () => void }[] = [];

  /** All of it is free. */
  constructor(total: number) {
    this.#total = total;
    this.#left = total;
  }

  /** What is taken. */
  get taken(): number {
    return this.#total - this.#left;
  }

  /** Takes `amount`, at once if nobody waits and so much is left. An amount over the total counts as all. */
  acquire(amount: number): Promise<void> | undefined {
    const wanted = Math.min(amount, this.#total);
    if (this.#waiting.length === 0 && wanted <= this.#left) {
      this.#left -= wanted;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push({ amount: wanted, resolve }));
  }

  /** Gives back what {@link acquire} took for the same `amount`. */
  release(amount: number): void {
    this.#left += Math.min(amount, this.#total);
    while (this.#waiting.length > 0 && this.#waiting[0]!.amount <= this.#left) {
      const { amount, resolve } = this.#waiting.shift()!;
      this.#left -= amount;
      resolve();
    }
    if (this.#left < this.#total) return;
    for (const resolve of this.#drained) resolve();
    this.#drained = [];
  }

  /** Resolves when nothing is taken. */
  drained(): Promise<void> {
    if (this.#left === this.#total) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }
}
