/**
 * The lower end of a terminal, redrawn in place. One write per frame, so that no half frame is seen.
 */

const WRAP_OFF = "\u001B[?7l";
const WRAP_ON = "\u001B[?7h";
const CLEAR_BELOW = "\u001B[J";
/** Of a terminal that does not tell its size. */
const ROWS_DEFAULT = 24;

export class Screen {
  readonly #stream: NodeJS.WriteStream;
  #height = 0;
  #frame: readonly string[] = [];

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** How many lines a frame may have: the last one is the cursor's. */
  get rows(): number {
    return Math.max(2, (this.#stream.rows || ROWS_DEFAULT) - 1);
  }

  /** Replaces the frame. Lines that are too long are cut by the terminal. */
  draw(lines: readonly string[]): void {
    this.#frame = lines.slice(0, this.rows);
    this.#write("");
  }

  /** Prints a line for good, above the frame. */
  above(line: string): void {
    this.#write(`${line.trimEnd()}\n`);
  }

  /** Leaves the frame as it is; what follows comes below it. */
  leave(): void {
    this.#height = 0;
    this.#frame = [];
  }

  #write(above: string): void {
    const up = this.#height === 0 ? "" : `\u001B[${this.#height}A`;
    const frame = this.#frame.map((line) => `${line}\n`).join("");
    this.#height = this.#frame.length;
    this.#stream.write(`\r${up}${CLEAR_BELOW}${above}${WRAP_OFF}${frame}${WRAP_ON}`);
  }
}
