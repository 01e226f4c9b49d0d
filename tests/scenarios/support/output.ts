/** How much of a child's output is kept, from its end. */
const MOST_CHARACTERS = 256 * 1024;

/** Collects what a child writes, and tells of each line. */
export class Output {
  /** Resolves at the end of the output. */
  readonly ended: Promise<void>;
  #text = "";

  constructor(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void = () => {}) {
    this.ended = this.#collect(stream, onLine);
  }

  /** What was written so far; of very much, the end. */
  get text(): string {
    return this.#text;
  }

  async #collect(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void) {
    const decoder = new TextDecoder();
    let line = "";
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true });
      this.#text = (this.#text + text).slice(-MOST_CHARACTERS);
      const lines = (line + text).split("\n");
      line = lines.pop() ?? "";
      for (const whole of lines) onLine(whole);
    }
    if (line !== "") onLine(line);
  }
}

/** Ends a child: SIGTERM, and SIGKILL when it is still there after `graceMs`. */
export async function endChild(child: Deno.ChildProcess, graceMs: number): Promise<void> {
  signal("SIGTERM");
  const timer = setTimeout(() => signal("SIGKILL"), graceMs);
  await child.status;
  clearTimeout(timer);

  function signal(name: Deno.Signal): void {
    try {
      child.kill(name);
    } catch (error) {
      // It has ended by itself meanwhile.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
