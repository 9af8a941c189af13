/**
 * What the demo prints: at most 80 columns, colour on a terminal only, progress as it happens.
 *
 * @module
 */

/** Where text goes. */
export interface ScreenOptions {
  readonly write: (text: string) => void;
  readonly hasColour: boolean;
  /** A terminal: an unfinished line can be written over. */
  readonly isTerminal: boolean;
}

/** Colours that mean something. */
export type Colour = "good" | "bad" | "faint" | "strong";

const CODES: Readonly<Record<Colour, string>> = {
  good: "32",
  bad: "31;1",
  faint: "2",
  strong: "1",
};

/** Width of the columns of the table; with blanks between them 80. */
const WIDTHS = [23, 7, 20, 23] as const;

/** The terminal. */
export class Screen {
  constructor(private readonly options: ScreenOptions) {}

  /** One whole line. */
  line(text = ""): void {
    this.options.write(`${this.options.isTerminal ? "\r\x1b[K" : ""}${text}\n`);
  }

  /** What is being done now; the next line takes its place. */
  busy(text: string): void {
    if (this.options.isTerminal) {
      this.options.write(`\r\x1b[K${this.paint("faint", `  ${text} …`)}`);
    }
  }

  /** A step that is done. */
  step(name: string, { text, spentMs }: { text: string; spentMs: number }): void {
    const seconds = `${(spentMs / 1_000).toFixed(1)} s`;
    this.line(`  ${name.padEnd(11)} ${text.padEnd(57).slice(0, 57)} ${seconds.padStart(7)}`);
  }

  /** A row of the table; `isRight` undefined: its head. */
  row(cells: readonly [string, string, string, string], isRight?: boolean): void {
    const text = cells.map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0)).join(" ");
    if (isRight === undefined) return this.line(this.paint("strong", text.trimEnd()));
    this.line(`${text} ${isRight ? this.paint("good", "ok") : this.paint("bad", "NO")}`);
  }

  /** Coloured text, where colour is wanted. */
  paint(colour: Colour, text: string): string {
    return this.options.hasColour ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
  }
}

/** Whether this is the demo inside user-mode-linux: its terminal is another's. */
export function isInside(): boolean {
  return Deno.env.get("VIPD_DEMO_INSIDE") === "1";
}

/** The screen of this process. */
export function openScreen(): Screen {
  const isTerminal = Deno.stdout.isTerminal() && !isInside();
  const hasColour = Deno.env.get("VIPD_DEMO_COLOUR") === "1" ||
    (isTerminal && !Deno.env.get("NO_COLOR"));
  const encoder = new TextEncoder();
  return new Screen({
    write: (text) => void Deno.stdout.writeSync(encoder.encode(text)),
    hasColour,
    isTerminal,
  });
}
