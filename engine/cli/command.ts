import type { ExitCode, PgdbaError } from "../errors.ts";
import type { Envelope, Json, Shown } from "../types.ts";
import type { Parsed } from "./args.ts";
import type { Takes } from "../view/completion.ts";
import type { Front } from "./front.ts";

/** The result of a command, for the front door to print: data for an envelope, or a whole envelope, and for people a text. */
export interface Result {
  exit: ExitCode;
  /** The name of the command in the envelope, when it is not the words typed. */
  command?: string;
  data?: Json;
  envelope?: Envelope;
  /** The parts of the data that people see. */
  shown?: readonly Shown[] | undefined;
  /** The error that made it fail; its stack is shown under PGDBA_DEBUG. */
  error?: PgdbaError | null;
  /** Shown instead of JSON as `table`; with `raw`, always. */
  text?: string;
  raw?: boolean;
  /** It has written all that stdout is to hold. */
  said?: boolean;
  /** Cut it would be of no use, as a schema: it is given whole. */
  whole?: boolean;
  /** The text is for people; a terminal shows it unless a format is chosen. */
  help?: boolean;
}

/** A command: one file of `commands/` that default-exports one of these. It is described nowhere else. */
export interface Command {
  name: string;
  /** Its place in help: a smaller number stands earlier. */
  place: number;
  summary: string;
  /** Arguments after the name, for help. */
  usage: string;
  /** The kind of its first word, for completion. */
  takes?: Takes;
  flags?: Record<
    string,
    {
      type: "string" | "boolean";
      multiple?: boolean;
      file?: boolean;
      /** The kind of its value, for completion. */
      takes?: Takes;
      summary: string;
    }
  >;
  /** True when its flags depend on its words, so that it reads them itself; `parsed` holds then only those of every command. */
  readsFlags?: boolean;
  run(front: Front, parsed: Parsed, words: string[], commands: Commands): Promise<Result>;
}

/** The commands by name, in the order of help: their descriptions, and how to load them. Runbooks are not here; they are found by name. */
export type Commands = Readonly<
  Record<string, Pick<Command, "summary" | "usage"> & { load: () => Promise<{ default: Command }> }>
>;
