/** A list of limited length: keeps the first half of it and the latest ones, and counts the rest. */
export class Bounded<T> {
  readonly #most: number;
  readonly #first: T[] = [];
  readonly #latest: T[] = [];
  #dropped = 0;

  /** @param most how many are kept. */
  constructor(most: number) {
    this.#most = most;
  }

  add(item: T): void {
    const half = Math.floor(this.#most / 2);
    if (this.#first.length < half) return void this.#first.push(item);
    this.#latest.push(item);
    if (this.#latest.length <= this.#most - half) return;
    this.#latest.shift();
    this.#dropped++;
  }

  /** Those that are kept, in their order. */
  get items(): readonly T[] {
    return [...this.#first, ...this.#latest];
  }

  /** How many between the first half and the latest ones are not kept. */
  get dropped(): number {
    return this.#dropped;
  }
}
