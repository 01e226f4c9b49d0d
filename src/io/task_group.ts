/**
 * Owns background tasks, so that none outlives its owner and no failure is lost. The first failure
 * aborts `signal`; `join` waits for all tasks and throws that failure.
 */
export class TaskGroup {
  readonly #controller = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  /** Aborted when a task failed or `cancel` was called. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Tasks that have not ended yet. */
  get size(): number {
    return this.#tasks.size;
  }

  /** Starts a task; `join` waits for it. */
  spawn(task: () => Promise<void>): void {
    const running = task().catch((error) => {
      this.#failure ??= { error };
      if (!this.#controller.signal.aborted) this.#controller.abort(error);
    }).finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }

  /** Aborts `signal`; later errors of tasks are not failures of the group. */
  cancel(reason: unknown): void {
    this.#failure ??= { error: undefined };
    if (!this.#controller.signal.aborted) this.#controller.abort(reason);
  }

  /**
   * Waits until every task has ended, including those started meanwhile.
   *
   * @throws the first failure of a task.
   */
  async join(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    if (this.#failure?.error !== undefined) throw this.#failure.error;
  }
}
