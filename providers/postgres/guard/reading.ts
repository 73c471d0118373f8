import { PgdbaError } from "../../../engine/errors.ts";
import { isMapping, type Json, type JsonObject } from "../../../engine/types.ts";
import { acts, runsText } from "./harmless.ts";
import { type Contents, contentsOf, type Names } from "./names.ts";
import { loadParser, type Parser } from "./parse.ts";
import { type Level, PLANNED, UNSEEN } from "./pending.ts";

/** A text that is one statement which only reads, as far as the text tells. */
export interface Reading {
  text: string;
  /** Null for SHOW, which names nothing that could act. */
  names: Names | null;
  level: Level;
}

/** Why a text is no such statement. */
export interface Fault {
  rule: string;
  message: string;
  hint: string;
}

const USE_EXECUTE = "A read step only reads; sql.execute does more, and query/change changes rows.";

/**
 * Takes one SELECT, VALUES, TABLE, SHOW or EXPLAIN without ANALYZE, that locks and writes nothing and calls no function that is known
 * to act without asking a server. The server is asked about the other functions that it calls: `refuseActing`.
 * @param queryOnly a SELECT, VALUES or TABLE, since it is put into another query
 */
function readingOf(parser: Parser, text: string, queryOnly = false): Reading | Fault {
  const parsed = parser.statements(text);
  if (!Array.isArray(parsed)) return unreadable(text, parsed);
  const [statement, ...more] = parsed;
  if (statement === undefined)
    return fault("not-one-statement", "The text holds no statement", "Write one SELECT.");
  if (more.length > 0)
    return fault(
      "not-one-statement",
      `The text holds ${more.length + 1} statements`,
      "A step is one statement; use a step for each.",
    );
  const [kind = "", body = null] = Object.entries(statement)[0] ?? [];
  if (kind === "VariableShowStmt" && !queryOnly) return { text, names: null, level: UNSEEN };
  if (kind === "ExplainStmt" && !queryOnly && isMapping(body)) return explained(parser, text, body);
  if (kind !== "SelectStmt") return notRead(wordOf(text));
  const contents = contentsOf(statement);
  return writing(contents) ?? read(parser, text, contents, UNSEEN);
}

function explained(parser: Parser, text: string, body: JsonObject): Reading | Fault {
  const options = Array.isArray(body["options"]) ? body["options"] : [];
  const executes = options.some((option) => {
    const element = isMapping(option) && isMapping(option["DefElem"]) ? option["DefElem"] : {};
    return element["defname"] === "analyze" && !isOff(element["arg"]);
  });
  if (executes)
    return fault(
      "not-a-read",
      "EXPLAIN ANALYZE executes the statement",
      "Leave ANALYZE out, or use query.analyze.",
    );
  const [kind = ""] = Object.keys(isMapping(body["query"]) ? body["query"] : {});
  if (!PLANNABLE.has(kind)) return notRead("EXPLAIN of a command");
  const contents = contentsOf(body["query"] ?? null);
  if (contents.into) return notRead("SELECT INTO");
  return read(parser, text, contents, PLANNED);
}

const PLANNABLE = new Set(["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"]);

/** As the server reads a boolean option (defGetBoolean). */
function isOff(argument: Json | undefined): boolean {
  if (!isMapping(argument)) return false;
  const { String: word, Integer: number, Boolean: boolean } = argument;
  if (isMapping(word)) return ["false", "off", "0"].includes(String(word["sval"]).toLowerCase());
  if (isMapping(number)) return (number["ival"] ?? 0) === 0;
  return isMapping(boolean) && boolean["boolval"] !== true;
}

function writing({ into, locks, changes }: Contents): Fault | null {
  if (into) return notRead("SELECT INTO");
  if (changes) return notRead("A WITH query that changes rows");
  return locks ? notRead("SELECT … FOR UPDATE or SHARE") : null;
}

function read(parser: Parser, text: string, contents: Contents, level: Level): Reading | Fault {
  const { names } = contents;
  // Syntax of its own in our grammar may be a plain call on an older server: JSON_VALUE, say.
  const known = new Set(names.functions.map(({ name }) => name));
  for (const name of parser.calls(text))
    if (!known.has(name)) names.functions.push({ schema: null, name });
  const own = names.functions.filter(({ schema }) => schema === null || schema === "pg_catalog");
  const acting = own.find(({ name }) => acts(name));
  if (acting !== undefined && level !== PLANNED)
    return fault("acting-function", `${acting.name} does more than reading`, USE_EXECUTE);
  const running = own.find(({ name }) => runsText(name, null));
  const told = names.words.find((word) => /\s/.test(word) && isActing(readingOf(parser, word)));
  if (running !== undefined && told !== undefined && level !== PLANNED)
    return fault("acting-function", `${running.name} runs ${JSON.stringify(told)}`, USE_EXECUTE);
  return { text, names, level };
}

function isActing(reading: Reading | Fault): boolean {
  return "rule" in reading && reading.rule !== "unreadable-sql";
}

function unreadable(text: string, { message, at }: { message: string; at: number }): Fault {
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  const column = at - before.lastIndexOf("\n");
  return fault(
    "unreadable-sql",
    `Line ${line}, column ${column}: ${message}`,
    /^\s*\\/m.test(text)
      ? "Commands of psql such as \\copy are no SQL."
      : "It must be one statement by PostgreSQL 18's grammar.",
  );
}

function notRead(what: string): Fault {
  return fault("not-a-read", `${what} is no statement that only reads`, USE_EXECUTE);
}

function wordOf(text: string): string {
  const bare = text.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, " ");
  return (/[A-Za-z]+/.exec(bare)?.[0] ?? "It").toUpperCase();
}

function fault(rule: string, message: string, hint: string): Fault {
  return { rule, message, hint };
}

/** @throws PgdbaError step_refused when the text is no statement that only reads */
export async function readReading(text: string, queryOnly = false): Promise<Reading> {
  const reading = readingOf(await loadParser(), text, queryOnly);
  if ("rule" in reading) {
    throw new PgdbaError("step_refused", `The statement is not run: ${reading.message}`, {
      hint: reading.hint,
      data: { rule: reading.rule },
    });
  }
  return reading;
}

/** The faults of a text that must only read, for `lint`. */
export async function lintReading(
  text: string,
  queryOnly = false,
): Promise<{ rule: string; message: string; hint: string }[]> {
  const reading = readingOf(await loadParser(), text, queryOnly);
  return "rule" in reading ? [reading] : [];
}
