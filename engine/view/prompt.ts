import type { Readable, Writable } from "node:stream";
import { PgdbaError } from "../errors.ts";
import { printable, singleLine } from "./text.ts";

export interface Question {
  stdin: Readable & { isTTY?: boolean | undefined };
  stderr: Writable;
  question: string;
  /** Must be typed exactly; without it, `y` or `yes`. */
  expect?: string;
}

/**
 * Asks on stderr, so that stdout keeps holding the envelope alone. Anything but the expected answer is a no, and so is the end
 * of input. Never asks when stdin is not a terminal: the answer is no.
 * @throws PgdbaError interrupted on Ctrl-C
 */
export async function confirm({ stdin, stderr, question, expect }: Question): Promise<boolean> {
  if (stdin.isTTY !== true) return false;
  const { createInterface } = await import("node:readline/promises");
  const lines = createInterface({ input: stdin, output: stderr, terminal: true });
  const gone = Promise.withResolvers<null>();
  lines.once("close", () => gone.resolve(null));
  lines.once("SIGINT", () =>
    gone.reject(
      new PgdbaError("interrupted", "Interrupted at the confirmation; nothing was done.", {
        hint: "Run again, or give the confirmation as a flag.",
      }),
    ),
  );
  const ask =
    expect === undefined
      ? `${printable(question)}. Go on? [y/N] `
      : `${printable(question)}\nType ${singleLine(expect)} to go on: `;
  try {
    // A closed interface may reject the question or leave it pending, depending on the runtime; both mean no answer.
    const answer = await Promise.race([
      lines.question(ask).catch(() => gone.promise),
      gone.promise,
    ]);
    if (answer === null) return false;
    return expect === undefined ? /^y(es)?$/i.test(answer.trim()) : answer.trim() === expect;
  } finally {
    lines.close();
  }
}
