import { failure, success, errorRecord } from "../envelope.ts";
import { copyOf, EXIT_BY_CODE, type ExitCode, PgdbaError, toPgdbaError } from "../errors.ts";
import { nearNames } from "../load/near.ts";
import { shellQuoted } from "../shared/shell-words.ts";
import { suggest } from "../shared/suggest.ts";
import type { Envelope } from "../types.ts";
import { globalFlags, leadingWords, parseFlags, refuseEmpty, typedCommand } from "./args.ts";
import type { Result } from "./command.ts";
import { COMMANDS } from "./commands/_index.ts";
import { stateDirOf } from "./config.ts";
import { type Format, FORMATS, printedFormat } from "./format.ts";
import type { Front } from "./front.ts";
import { libraryOf } from "./library.ts";
import { opensOf } from "./opens.ts";

/** Runs one command line and writes exactly one envelope to stdout, whatever happens. @returns the exit code */
export async function main(front: Front): Promise<ExitCode> {
  let result: Result;
  const named = { command: "pgdba" };
  front.secrets.addFolder(stateDirOf(front));
  // A password in a URI is one wherever it was typed, or lies; programs that a run starts inherit the environment.
  for (const text of [...front.argv, ...Object.values(front.env)])
    if (text !== undefined) front.secrets.addFrom(text);
  try {
    named.command = typedCommand(front.argv);
    result = await dispatch(front, named);
  } catch (thrown) {
    const error = withCommand(toPgdbaError(thrown), front.argv);
    result = {
      error,
      exit: EXIT_BY_CODE[error.code],
      envelope: failure(named.command, front.clock.now(), errorRecord(error)),
    };
  }
  if (result.error && front.env["PGDBA_DEBUG"])
    front.stderr.write(`${front.secrets.redact(stackOf(result.error))}\n`);
  const now = front.clock.now();
  const envelope =
    result.envelope ?? success(result.command ?? named.command, now, result.data ?? null);
  await print(front, result, front.secrets.redactEnvelope(envelope));
  return result.exit;
}

/** What a gate asks for is answered by the same command with a flag more: the hint has it whole, to be copied as it stands. */
function withCommand(error: PgdbaError, argv: readonly string[]): PgdbaError {
  const opens = opensOf(error.data);
  if (error.code !== "approval_needed" || opens.length === 0) return error;
  const flags = opens.filter((flag) => !argv.includes(flag));
  const command = ["pgdba", ...argv, ...flags].map(shellQuoted).join(" ");
  return copyOf(error, undefined, `${error.hint ?? ""} That is: \`${command}\``.trim());
}

/** Prints as much of the envelope as is wanted. A person's terminal takes a table of any length. */
async function print(front: Front, result: Result, envelope: Envelope): Promise<void> {
  if (result.said) return write(front, "");
  const { flags } = globalFlags(front.argv);
  const forPerson = front.stdout.isTTY === true && (await printedFormat(front)).format === "table";
  // Contradicting flags were refused before anything was done.
  const full = flags["full"] === true || result.whole === true || forPerson;
  const { shape, wantedOf, withinText } = await import("./answer/shape.ts");
  const wanted = { ...wantedOf({ ...flags, full: false }), full };
  const text = await ownText(front, result);
  if (text !== undefined) return write(front, full || result.raw ? text : withinText(text));
  const { text: rendered, warning } = await shape(envelope, wanted, {
    shown: result.shown,
    textOf: (part) => textOf(front, result, part),
  });
  if (warning !== undefined) front.stderr.write(`${warning}\n`);
  await write(front, rendered);
}

/** `named` is told the whole name of a runbook once it is known: its envelope has it, whatever becomes of it. */
async function dispatch(front: Front, named: { command: string }): Promise<Result> {
  // A shell asks in the middle of a line: nothing of it is judged.
  if (front.argv[0] === "__complete") return complete(front);
  const words = leadingWords(front.argv);
  const lenient = globalFlags(front.argv);
  const [first, second] = words;
  if (first !== "__complete") refuseEmpty(lenient);
  checkFormat("--format", lenient.flags["format"]);
  if (lenient.flags["brief"] === true) (await import("./answer/shape.ts")).wantedOf(lenient.flags);
  if (lenient.flags["config"] !== undefined) {
    const { loadConfig } = await import("./config.ts");
    await loadConfig(front);
  }
  checkFormat("PGDBA_FORMAT", front.env["PGDBA_FORMAT"] || undefined);
  if (lenient.flags["version"] && first === undefined) {
    const { version } = front;
    return { exit: 0, command: "version", data: { version }, text: version, help: true };
  }
  if (first === undefined) {
    parseFlags(front.argv);
    return help(front, []);
  }
  if (Object.hasOwn(COMMANDS, first)) {
    const { default: command } = await COMMANDS[first]!.load();
    const readsFlags = command.readsFlags === true;
    if (lenient.flags["help"] && (!readsFlags || second === undefined)) return help(front, [first]);
    const parsed = readsFlags ? lenient : parseFlags(front.argv, command.flags ?? {});
    return command.run(front, parsed, (readsFlags ? words : parsed.words).slice(1), COMMANDS);
  }
  const library = libraryOf(front, (lenient.flags["runbooks"] as string[] | undefined) ?? []);
  const runbooks = library.entries("runbook").map((entry) => entry.name);
  const said = spokenName(words, runbooks);
  if (said > 1) {
    named.command = words.slice(0, said).join(" ");
    const { runRunbook } = await import("./run-runbook.ts");
    return runRunbook(front, words.slice(0, said).join("/"), lenient, words.slice(said));
  }
  if (lenient.flags["help"] || second === undefined) {
    const below = runbooks.filter((each) => each.startsWith(`${first}/`));
    if (below.length > 0) return help(front, [first]);
  }
  throw unknownCommand(words, runbooks);
}

/** How many words at the beginning name a runbook, the most that do; 0 where none does. */
function spokenName(words: readonly string[], runbooks: readonly string[]): number {
  const counts = words.slice(0, 3).map((_, at) => at + 1);
  return counts.findLast((count) => runbooks.includes(words.slice(0, count).join("/"))) ?? 0;
}

function checkFormat(name: string, value: unknown): void {
  if (value === undefined || FORMATS.includes(value as Format)) return;
  throw new PgdbaError("usage", `${name} can't be ${String(value).slice(0, 40)}`, {
    hint: `It is one of ${FORMATS.join(", ")}.`,
  });
}

async function help(front: Front, words: string[]): Promise<Result> {
  const { default: command } = await COMMANDS["help"]!.load();
  return command.run(front, { words, flags: {} }, words, COMMANDS);
}

async function complete(front: Front): Promise<Result> {
  const { completeWords } = await import("./complete.ts");
  // The message of a failure must not be typed into somebody's command line.
  const nothing: Result = { exit: 0, text: "", raw: true };
  return completeWords(front, front.argv.slice(1), COMMANDS).catch(() => nothing);
}

function unknownCommand(words: string[], runbooks: string[]): PgdbaError {
  const typed = words.slice(0, 2).join(" ").slice(0, 200);
  const [first = ""] = words;
  const spoken = (name: string) => `\`pgdba ${name.replaceAll("/", " ")}\``;
  const resource = runbooks.some((name) => name.startsWith(`${first}/`));
  const command = resource ? undefined : suggest(first, Object.keys(COMMANDS));
  const near = nearNames(typed.replace(" ", "/"), runbooks, spoken);
  return new PgdbaError("unknown_command", `There is no command ${JSON.stringify(typed)}`, {
    hint:
      near ??
      (command === undefined
        ? "`pgdba help` shows the commands, `pgdba list` the runbooks."
        : `Did you mean ${spoken(command)}?`),
  });
}

/** What a command has written itself: for programs always, else where people read it. */
async function ownText(front: Front, result: Result): Promise<string | undefined> {
  if (result.text === undefined) return undefined;
  const text = front.secrets.redact(result.text);
  const { chosen, format } = await printedFormat(front);
  const isHelp = result.help === true;
  const forPeople =
    format === "table" || (isHelp && front.stdout.isTTY === true && chosen === undefined);
  if (result.raw) return `${text}\n`;
  if (!forPeople) return undefined;
  const columns = columnsOf(front);
  // Help is laid out for the terminal already.
  if (columns === undefined || isHelp) return `${text}\n`;
  const { hang } = await import("../view/text.ts");
  return `${hang(text, Math.max(20, columns))}\n`;
}

async function textOf(front: Front, result: Result, envelope: Envelope): Promise<string> {
  const { format } = await printedFormat(front);
  const tty = front.stdout.isTTY === true;
  if (format === "json") return `${JSON.stringify(envelope, null, tty ? 2 : undefined)}\n`;
  const { formatEnvelope } = await import("../view/format.ts");
  const { streamStyle } = await import("../view/color.ts");
  const { color } = streamStyle(front.stdout, front.env);
  const columns = columnsOf(front) ?? 100;
  return formatEnvelope(envelope, format, { color, columns, pretty: tty, shown: result.shown });
}

function columnsOf(front: Front): number | undefined {
  return front.stdout.columns || Number(front.env["COLUMNS"]) || undefined;
}

function write(front: Front, text: string): Promise<void> {
  return new Promise((resolve) => {
    front.stdout.onError(resolve);
    front.stdout.write(text, resolve);
  });
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : "";
  return `${error.stack ?? error.message}${cause}`;
}
