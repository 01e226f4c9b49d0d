/** Rows and columns of a terminal. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const REST_OF_LINE = "\x1b[K";
const REST_OF_SCREEN = "\x1b[J";

/** The whole of a terminal, drawn again and again; what stood there before comes back at the end. */
export class Screen implements Disposable {
  readonly #write: (text: string) => void;
  readonly #size: () => TerminalSize;

  /** @param size asked for each time: a terminal is resized. */
  constructor(write: (text: string) => void, size: () => TerminalSize) {
    this.#write = write;
    this.#size = size;
    write(ENTER);
  }

  /** Draws these lines, cut off to what the terminal has room for. */
  show(lines: readonly string[]): void {
    this.#write(HOME + fitted(lines, this.#size()).join(`${REST_OF_LINE}\r\n`) + REST_OF_SCREEN);
  }

  [Symbol.dispose](): void {
    this.#write(LEAVE);
  }
}

/** As much of these lines as fits; the last row says how many do not. Pure. */
export function fitted(lines: readonly string[], { rows, columns }: TerminalSize): string[] {
  const shown = lines.length <= rows
    ? lines
    : [...lines.slice(0, rows - 1), `... ${lines.length - rows + 1} more lines`];
  return shown.slice(0, rows).map((line) => [...line].slice(0, columns).join(""));
}
